"""Sources in stores that fsspec knows: a real S3 server (moto) and a real SFTP server, both on this machine."""

import os
import socket
import threading

import boto3
import paramiko
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from restock.contract import Contract
from restock.errors import ConfigurationError, SourceChanged, SourceError
from restock.settings import read_settings
from sources import stores
from sources.extract import open_source
from sources.locations import find_source, fingerprint, open_pinned

TEXT = b"sku,name\n" + b"".join(b"%d,product\n" % n for n in range(5_000))


def content_of(file):
    with open_pinned(file) as handle:
        return handle.read()


@pytest.fixture
def find(make_feed, tmp_path):
    def find_in(roots, source, **keys):
        settings = read_settings({"RESTOCK_FEEDS": str(tmp_path / "f.yaml"), "RESTOCK_SOURCE_ROOTS": roots})
        return find_source(make_feed(source=source, **keys), settings)

    return find_in


@pytest.fixture(scope="module")
def s3_server():
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server, monkeypatch, tmp_path):
    """An empty bucket, whose credentials are in the environment."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "4711",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    bucket = boto3.resource("s3", endpoint_url=s3_server).Bucket("shop")
    bucket.create()
    yield bucket
    bucket.object_versions.all().delete()
    bucket.meta.client.close()


def test_a_file_in_s3_is_known_by_its_tag_and_brought_when_it_is_opened(bucket, find, make_feed):
    bucket.put_object(Key="feeds/a.csv", Body=TEXT)
    bucket.put_object(Key="feeds/b.csv", Body=TEXT)
    bucket.put_object(Key="feeds/c.csv", Body=TEXT + b"1,x\n")

    [file] = find("s3://shop/feeds/", "s3://shop/feeds/a.csv")
    prints = [fingerprint(find("s3://shop/", f"s3://shop/feeds/{name}.csv"), make_feed()) for name in "abc"]

    assert (file.name, file.format, file.size) == ("s3://shop/feeds/a.csv", "csv", len(TEXT))
    assert prints[0] == prints[1] != prints[2]
    assert content_of(file) == TEXT


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_other_content_in_a_bucket_of_versions_has_another_fingerprint(bucket, find, make_feed, status):
    for state in ("Enabled", status):
        bucket.Versioning().put(VersioningConfiguration={"Status": state})
    prints = set()

    for text in (TEXT, TEXT.replace(b"product", b"subject")):
        bucket.put_object(Key="feeds/a.csv", Body=text)
        prints.add(fingerprint(find("s3://shop/", "s3://shop/feeds/a.csv"), make_feed()))

    assert len(prints) == 2


@pytest.mark.parametrize("source", ["s3://shop/feeds/", "s3://shop/feeds/*.csv", "s3://shop/feeds/?.csv"])
def test_a_folder_and_a_pattern_in_s3_stand_for_their_files_in_sorted_order(bucket, find, source):
    for key in ("feeds/b.csv", "feeds/a.csv", "feeds/.hidden.csv", "feeds-evil/c.csv", "feeds/deeper/d.csv"):
        bucket.put_object(Key=key, Body=TEXT)
    if "?" in source:
        with pytest.raises(ConfigurationError, match="question mark"):
            find("s3://shop/feeds/", source)
        return

    assert [file.name for file in find("s3://shop/feeds/", source)] == [
        "s3://shop/feeds/a.csv",
        "s3://shop/feeds/b.csv",
    ]


def test_parquet_in_s3_is_read(bucket, find, make_feed, tmp_path):
    pq.write_table(pa.table({"sku": [f"{n:05}" for n in range(1_000)]}), tmp_path / "a.parquet")
    bucket.upload_file(str(tmp_path / "a.parquet"), "feeds/a.parquet")

    [file] = find("s3://shop/feeds/", "s3://shop/feeds/a.parquet")

    table = pa.concat_tables(open_source(file, make_feed(), Contract({}, ())).tables())

    assert table["sku"].to_pylist() == [f"{n:05}" for n in range(1_000)]


def test_a_file_in_s3_that_changed_since_it_was_found_is_refused(bucket, find):
    bucket.put_object(Key="feeds/a.csv", Body=TEXT)
    [file] = find("s3://shop/feeds/", "s3://shop/feeds/a.csv")
    bucket.put_object(Key="feeds/a.csv", Body=TEXT.replace(b"product", b"subject"))

    with pytest.raises(SourceChanged, match=r"s3://shop/feeds/a\.csv changed"), open_pinned(file):
        pass


def test_a_file_in_s3_that_changes_between_two_parts_is_refused(bucket, find, monkeypatch):
    monkeypatch.setattr(stores, "PART_BYTES", 10_000)
    bucket.put_object(Key="feeds/a.csv", Body=TEXT)
    [file] = find("s3://shop/feeds/", "s3://shop/feeds/a.csv")
    parts = file.origin._brought

    def changing(incoming):
        def each():
            for part in incoming:
                bucket.put_object(Key="feeds/a.csv", Body=TEXT.replace(b"product", b"subject"))
                yield part

        return parts(each())

    monkeypatch.setattr(file.origin, "_brought", changing)

    with pytest.raises(SourceChanged, match="changed while it was read"), open_pinned(file):
        pass


@pytest.mark.parametrize(
    "source,sentence",
    [
        ("s3://shop/feeds/none.csv", "There is no file s3://shop/feeds/none.csv"),
        ("s3://shop/feeds/*.csv", "No file matches the source 's3://shop/feeds/"),
        ("s3://shop/feeds/deeper.csv", "is a folder|There is no file"),
        ("s3://shop/feeds/empty.csv", r"empty.csv is empty \(0 bytes\)"),
    ],
)
def test_a_file_that_is_not_in_s3_gets_a_sentence(bucket, find, source, sentence):
    bucket.put_object(Key="feeds/deeper.csv/a.csv", Body=TEXT)
    if "empty" in source:
        bucket.put_object(Key="feeds/empty.csv", Body=b"")

    with pytest.raises(SourceError, match=sentence):
        find("s3://shop/feeds/", source)


def test_a_store_that_is_away_or_wants_credentials_gets_a_sentence_without_them(bucket, find, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

        with pytest.raises(SourceError, match=r"a\.csv cannot be read .*; check the address, the network") as caught:
            find("s3://shop/feeds/", "s3://shop/feeds/a.csv")
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_a_missing_extra_is_one_sentence_that_names_it(find, scheme, monkeypatch):
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


def test_a_file_of_an_sftp_server_is_known_by_its_content(sftp, find, make_feed):
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
