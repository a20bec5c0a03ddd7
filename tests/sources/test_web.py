"""Sources behind web addresses, from real servers on this machine."""

import gzip
import http.server
import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest

from restock.contract import Contract
from restock.errors import ConfigurationError, SourceChanged, SourceError
from restock.settings import read_settings
from sources.extract import open_source
from sources.places.locations import find_source, fingerprint, open_pinned

TEXT = b"sku,name\n" + b"".join(b"%d,product\n" % n for n in range(5_000))


class Site(http.server.ThreadingHTTPServer):
    """A server whose answers a test writes: a function of the handler for each path."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked = {}, []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.path)
        self.server.answers[self.path.partition("?")[0]](self)

    def log_message(self, *args):
        """Say nothing."""

    def give(self, content, status=200, length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length != "none":
            self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    site = Site()
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield site
    site.shutdown()
    site.server_close()
    thread.join()


@pytest.fixture
def site(server):
    server.answers.clear()
    server.asked.clear()
    return server


@pytest.fixture
def find(site, make_feed, tmp_path):
    def find_at(path, file=None, **keys):
        roots = f"{site.address}/feeds/"
        settings = read_settings({"RESTOCK_FEEDS": str(tmp_path / "f.yaml"), "RESTOCK_SOURCE_ROOTS": roots})
        paths = [path] if isinstance(path, str) else path
        return find_source(make_feed(source=[f"{site.address}{each}" for each in paths], **keys), settings, file)

    return find_at


def test_a_file_with_a_tag_is_brought_once_and_only_when_it_is_opened(site, find, content_of):
    site.answers["/feeds/a.csv"] = lambda handler: handler.give(TEXT, ETag='"1"')

    [file] = find("/feeds/a.csv")

    assert (file.name, file.format, file.size) == (f"{site.address}/feeds/a.csv", "csv", len(TEXT))
    assert len(site.asked) == 1
    assert content_of(file) == content_of(file) == TEXT
    assert len(site.asked) == 2


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"1"'}, {"Last_Modified": "Mon, 02 Mar 2026 10:00:00 GMT"}])
def test_a_file_without_a_tag_is_known_by_its_content(site, find, make_feed, headers, content_of):
    site.answers["/feeds/a.csv"] = lambda handler: handler.give(TEXT, **headers)
    site.answers["/feeds/b.csv"] = lambda handler: handler.give(TEXT)
    site.answers["/feeds/c.csv"] = lambda handler: handler.give(TEXT + b"1,x\n")

    prints = [fingerprint(find(f"/feeds/{name}.csv"), make_feed()) for name in "abc"]

    assert prints[0] == prints[1] != prints[2]
    assert content_of(*find("/feeds/a.csv")) == TEXT


def test_a_file_is_read_as_it_would_be_from_a_disk(site, find, make_feed):
    site.answers["/feeds/a.csv.gz"] = lambda handler: handler.give(gzip.compress(TEXT), ETag='"1"')

    [file] = find("/feeds/a.csv.gz")
    table = pa.concat_tables(open_source(file, make_feed(), Contract({}, ())).tables())

    assert table["sku"].to_pylist() == [str(n) for n in range(5_000)]


def in_pieces(handler, **headers):
    handler.send_response(200)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    parts = [TEXT[start : start + 10_000] for start in range(0, len(TEXT), 10_000)]
    handler.wfile.write(b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""]))


@pytest.mark.parametrize("headers", [{}, {"ETag": '"1"'}])
def test_a_file_sent_in_pieces_is_read_whole(site, find, headers, content_of):
    site.answers["/feeds/a.csv"] = lambda handler: in_pieces(handler, **headers)

    [file] = find("/feeds/a.csv")

    assert file.size == len(TEXT)
    assert content_of(file) == TEXT


def test_a_file_that_changes_before_it_is_opened_is_refused(site, find):
    site.answers["/feeds/a.csv"] = lambda handler: handler.give(TEXT, ETag=f'"{len(site.asked)}"')
    [file] = find("/feeds/a.csv")

    with pytest.raises(SourceChanged, match="since it was found; nothing of it was loaded"), open_pinned(file):
        pass


def test_a_file_without_a_tag_that_changes_while_it_is_read_is_refused(site, find):
    date = "Mon, 02 Mar 2026 10:00:0%d GMT"
    site.answers["/feeds/a.csv"] = lambda handler: handler.give(TEXT, Last_Modified=date % len(site.asked))

    with pytest.raises(SourceChanged, match="changed while it was read"):
        find("/feeds/a.csv")


def test_a_file_sent_in_pieces_whose_tag_changes_while_it_is_read_is_refused(site, find):
    site.answers["/feeds/a.csv"] = lambda handler: in_pieces(handler, ETag=f'"{len(site.asked)}"')

    with pytest.raises(SourceChanged, match="changed while it was read"):
        find("/feeds/a.csv")


def cut_in_a_piece(handler):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"ffff\r\nsku,name\n1,")
    handler.close_connection = True


@pytest.mark.parametrize(
    "answer,sentence",
    [
        (lambda handler: handler.give(TEXT[:-20], length=len(TEXT)), "off after .* of .* bytes; nothing of it was"),
        (cut_in_a_piece, r"broke off \(IncompleteRead\)"),
        (lambda handler: handler.give(TEXT, length="none"), "does not say how long the file is"),
        (lambda handler: handler.give(b""), r"is empty \(0 bytes\)"),
        (lambda handler: handler.give(b"", 404), r"There is no file .* \(status 404\)"),
        (lambda handler: handler.give(b"", 403), r"may not be read \(status 403\)"),
        (lambda handler: handler.give(b"", 500), "its server answers with status 500"),
        (lambda handler: handler.connection.close(), "cannot be reached"),
    ],
)
def test_a_file_that_does_not_come_whole_is_refused(site, find, content_of, answer, sentence):
    site.answers["/feeds/a.csv"] = answer

    with pytest.raises(SourceError, match=sentence):
        content_of(*find("/feeds/a.csv"))


@pytest.mark.parametrize(
    "to", ["{site}/feeds/b.csv", "{site}/secret.csv", "http://169.254.169.254/", "file:///etc/passwd", "/feeds/b.csv"]
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(site, find, status, to):
    site.answers["/feeds/a.csv"] = lambda handler: handler.give(b"", status, Location=to.format(site=site.address))

    with pytest.raises(SourceError, match=r"leads to another address .* give the final one"):
        find("/feeds/a.csv")
    assert site.asked == ["/feeds/a.csv"]


def test_the_query_of_a_signed_address_is_sent_and_never_shown(site, find, content_of):
    site.answers["/feeds/a.csv"] = lambda handler: handler.give(TEXT, ETag='"1"')
    site.answers["/feeds/b.csv"] = lambda handler: handler.give(b"", 403)
    query = "?X-Amz-Signature=4711&X-Amz-Expires=60"

    [file] = find(f"/feeds/a.csv{query}")
    with pytest.raises(SourceError) as refused:
        find(f"/feeds/b.csv{query}")
    with pytest.raises(ConfigurationError) as outside:
        find(f"/other/b.csv{query}")

    assert site.asked[0] == f"/feeds/a.csv{query}"
    assert not any("4711" in text for text in (repr(file), file.name, str(refused.value), str(outside.value)))
    assert content_of(file) == TEXT


def test_addresses_that_differ_in_their_query_are_read_in_the_order_of_the_feed(site, find):
    site.answers["/feeds/a.csv"] = lambda handler: handler.give(TEXT, ETag='"1"')
    pages = [f"/feeds/a.csv?page={page}" for page in range(1, 12)]

    find([*pages, pages[0]])

    assert site.asked == pages


def test_a_name_and_password_come_from_netrc(site, find, tmp_path, monkeypatch, content_of):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password 4711\n")
    (tmp_path / ".netrc").chmod(0o600)
    site.answers["/feeds/a.csv"] = lambda handler: handler.give(handler.headers["Authorization"].encode())

    assert content_of(*find("/feeds/a.csv")) == b"Basic YWRhOjQ3MTE="


def test_a_parameter_may_be_an_address(site, find, content_of):
    site.answers["/feeds/b.csv"] = lambda handler: handler.give(TEXT)

    assert content_of(*find("/feeds/a.csv", file=f"{site.address}/feeds/b.csv")) == TEXT


def test_nothing_is_left_behind(site, find, tmp_path, content_of):
    (tmp_path / ".restock" / "spool").mkdir(parents=True)
    site.answers["/feeds/a.csv"] = lambda handler: handler.give(TEXT)
    [file] = find("/feeds/a.csv")

    assert content_of(file) == TEXT
    assert list((tmp_path / ".restock" / "spool").iterdir()) == []
