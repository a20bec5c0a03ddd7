"""Stores that fsspec knows, what each has for itself: versions of S3, a missing extra, logging in over SFTP."""

import os
import socket
import threading

import paramiko
import pytest
from fsspec.registry import _registry

from flows.orchestration.prefect_server import free_port
from restock.errors import ConfigurationError, SourceChanged, SourceError
from restock.settings import read_settings
from sources.places import stores
from sources.places.locations import find_source, fingerprint

TEXT = b"sku,name\n" + b"".join(b"%d,product\n" % n for n in range(5_000))


@pytest.fixture
def find(make_feed, tmp_path):
    def find_in(roots, source, **keys):
        settings = read_settings({"RESTOCK_FEEDS": str(tmp_path / "f.yaml"), "RESTOCK_SOURCE_ROOTS": roots})
        return find_source(make_feed(source=source, **keys), settings)

    return find_in


@pytest.mark.parametrize("cloud", ["s3"], indirect=True)
@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_other_content_in_a_bucket_of_versions_has_another_fingerprint(cloud, find, make_feed, status):
    for state in ("Enabled", status):
        cloud.bucket.Versioning().put(VersioningConfiguration={"Status": state})
    prints = set()

    for text in (TEXT, TEXT.replace(b"product", b"subject")):
        cloud.put("feeds/a.csv", text)
        prints.add(fingerprint(find("s3://shop/", "s3://shop/feeds/a.csv"), make_feed()))

    assert len(prints) == 2


def test_a_question_mark_is_no_part_of_a_pattern_in_a_store(find):
    with pytest.raises(ConfigurationError, match="question mark"):
        find("s3://shop/feeds/", "s3://shop/feeds/?.csv")


@pytest.mark.parametrize("cloud", ["s3"], indirect=True)
def test_a_store_that_is_away_gets_a_sentence_without_credentials(cloud, find, monkeypatch):
    # Google and Azure do the same, but their libraries try for half a minute and longer.
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    with pytest.raises(SourceError, match=r"a\.csv cannot be read .*; check the address, the network") as caught:
        find("s3://shop/feeds/", "s3://shop/feeds/a.csv")
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_a_missing_extra_is_one_sentence_that_names_it(find, scheme, monkeypatch):
    monkeypatch.delitem(_registry, scheme, raising=False)  # what was imported before
    monkeypatch.setitem(__import__("sys").modules, {"gs": "gcsfs", "az": "adlfs"}[scheme], None)

    with pytest.raises(ConfigurationError, match=rf"install the extra restock\[{scheme}\]"):
        find(f"{scheme}://shop/feeds/", f"{scheme}://shop/feeds/a.csv")


class Login(paramiko.ServerInterface):
    """Lets in whoever has the password."""

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL if (username, password) == ("ada", "4711") else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED


class Files(paramiko.SFTPServerInterface):
    """Serves a folder, read-only."""

    def __init__(self, server, folder):
        self.folder = folder

    def _real(self, path):
        return self.folder / path.lstrip("/")

    def list_folder(self, path):
        entries = []
        for each in self._real(path).iterdir():
            entry = paramiko.SFTPAttributes.from_stat(each.stat())
            entry.filename = each.name
            entries.append(entry)
        return entries

    def stat(self, path):
        try:
            return paramiko.SFTPAttributes.from_stat(self._real(path).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    lstat = stat

    def open(self, path, flags, attr):
        try:
            handle = paramiko.SFTPHandle(flags)
            handle.readfile = self._real(path).open("rb")
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        return handle


@pytest.fixture
def sftp(tmp_path, monkeypatch):
    """The root address of a server, which is among the known hosts, and the folder it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    key = paramiko.ECDSAKey.generate()
    listening = socket.create_server(("127.0.0.1", 0))
    transports = []

    def serve():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files, folder)
            transports.append(transport)
            transport.start_server(threading.Event(), Login())  # with an event it does not wait

    thread = threading.Thread(target=serve)
    thread.start()
    port = listening.getsockname()[1]
    (tmp_path / ".ssh").mkdir()
    known = f"[127.0.0.1]:{port} {key.get_name()} {key.get_base64()}\n"
    (tmp_path / ".ssh" / "known_hosts").write_text(known)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RESTOCK_SFTP_PASSWORD", "4711")
    yield f"sftp://ada@127.0.0.1:{port}/", folder
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    for transport in transports:
        transport.close()
    thread.join()


def test_a_file_of_an_sftp_server_is_known_by_its_content(sftp, find, make_feed, content_of):
    root, folder = sftp
    for name in ("b.csv", "a.csv"):
        (folder / name).write_bytes(TEXT)

    files = find(root, root)

    assert [file.name for file in files] == [f"{root}a.csv", f"{root}b.csv"]
    assert content_of(files[0]) == TEXT
    assert fingerprint(files[:1], make_feed()) == fingerprint(files[1:], make_feed())


def test_a_file_of_an_sftp_server_that_changes_while_it_is_read_is_refused(sftp, find, monkeypatch):
    root, folder = sftp
    path = folder / "a.csv"
    path.write_bytes(TEXT)
    real = stores._version

    def later(info):
        version = real(info)
        os.utime(path, (1, 1))
        return version

    monkeypatch.setattr(stores, "_version", later)

    with pytest.raises(SourceChanged, match="changed while it was read"):
        find(root, f"{root}a.csv")


def test_an_sftp_server_that_is_not_known_is_refused(sftp, find, tmp_path):
    root, folder = sftp
    (folder / "a.csv").write_bytes(TEXT)
    (tmp_path / ".ssh" / "known_hosts").write_text("")

    with pytest.raises(SourceError, match="is not among the known hosts; check its key"):
        find(root, f"{root}a.csv")


def test_a_wrong_password_gets_a_sentence_without_it(sftp, find, monkeypatch):
    root, _ = sftp
    monkeypatch.setenv("RESTOCK_SFTP_PASSWORD", "4712")

    with pytest.raises(SourceError, match=r"a.csv cannot be read \(AuthenticationException\)") as caught:
        find(root, f"{root}a.csv")
    assert "4712" not in str(caught.value)
