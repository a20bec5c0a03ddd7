"""Sources that reach for more than they may: each is refused before a file is opened or a connection is tried."""

import os
import re
import sys

import pytest

from restock.errors import ConfigurationError, RestockError, SourceError
from restock.settings import read_settings
from sources.places.locations import find_source

ROOTS = "in,s3://bucket/feeds/,https://shop.example/feeds/,sftp://supplier@host.example/out/"

PATHS = [
    "../secret.csv",
    "in/../../outside.csv",
    "in/../secret.csv",
    "./in/./../../outside.csv",
    "in/link.csv",
    "in/linked/secret.csv",
    "in/chain.csv",
    "in/loop.csv",
    "in/linked/*.csv",
    "../*.csv",
    "in/../*.csv",
    "in/**/../../*.csv",
    "/etc/passwd",
    "/proc/self/environ",
    "/dev/stdin",
    "/dev/zero",
    "~/secret.csv",
    "~root/secret.csv",
    "in/feed.csv|cat",
    "| cat secret.csv",
    "in/feed.csv\0.txt",
    "in/feed.csv\n",
    "in\\..\\..\\outside.csv",
    "..\\secret.csv",
    "\\\\host\\share\\feed.csv",
    "//host/share/feed.csv",
    "C:/secret.csv/../..",
    "in/%2e%2e/secret.csv",
    "in/..%2fsecret.csv",
    "in/．．/secret.csv",
    "in/․․/secret.csv",
    "in／..／secret.csv",
    "in/feed.pickle",
    "in/feed.feather",
    "in/feed.orc",
    "in/pipe.csv",
    "",
    " ",
]
ADDRESSES = [
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "file:in/feed.csv",
    "local://in/feed.csv",
    "memory://feed.csv",
    "data:text/csv,a%0A1",
    "ftp://host/feed.csv",
    "jar:file:///x.jar!/feed.csv",
    "zip://feed.csv::https://shop.example/feeds/a.zip",
    "simplecache::s3://bucket/feeds/feed.csv",
    "filecache::file:///etc/passwd",
    "s3://bucket/feeds/feed.csv::file:///etc/passwd",
    "in/feed.csv::http://169.254.169.254/",
    "http://169.254.169.254/latest/meta-data/feed.csv",
    "https://169.254.169.254/feeds/feed.csv",
    "http://[::1]/feed.csv",
    "http://2130706433/feed.csv",
    "http://shop.example/feeds/feed.csv",
    "https://shop.example/other/feed.csv",
    "https://shop.example/feeds/../other/feed.csv",
    "https://shop.example/feeds/%2e%2e/other/feed.csv",
    "https://shop.example/feeds/..%2fother/feed.csv",
    "https://shop.example/feeds/%252e%252e/feed.csv",
    "https://shop.example/feeds/a%00.csv",
    "https://shop.example/feeds\\..\\other/feed.csv",
    "https://shop.example/feeds//feed.csv",
    "https://shop.example/feeds-evil/feed.csv",
    "https://shop.example.evil.example/feeds/feed.csv",
    "https://shop.example@evil.example/feeds/feed.csv",
    "https://evil.example#@shop.example/feeds/feed.csv",
    "https://evil.example\\@shop.example/feeds/feed.csv",
    "https://user:4711@shop.example/feeds/feed.csv",
    "https://shop.example:8443/feeds/feed.csv",
    "https://shop.example./feeds/feed.csv",
    "HTTPS://shop.example/feeds/feed.csv",
    "https://SHOP.example/feeds/feed.csv",
    "https://shop。example/feeds/feed.csv",
    "https://shop.example/feeds/．．/feed.csv",
    " https://shop.example/feeds/feed.csv",
    "https://shop.example/feeds/feed.csv\r\nHost: evil.example",
    "https:///shop.example/feeds/feed.csv",
    "https:/shop.example/feeds/feed.csv",
    "s3://bucket-evil/feeds/feed.csv",
    "s3://bucket/feeds-evil/feed.csv",
    "s3://bucket/feeds/../secret.csv",
    "s3://bucket/feeds/%2e%2e/secret.csv",
    "s3://bucket/*/secret.csv",
    "s3://*/feeds/feed.csv",
    "s3://bucket/",
    "s3://bucket",
    "S3://bucket/feeds/feed.csv",
    "s3://Bucket/feeds/feed.csv",
    "s3://key:4711@bucket/feeds/feed.csv",
    "s3://bucket/feeds/feed.csv?versionId=4711",
    "s3a://bucket/feeds/feed.csv",
    "gs://bucket/feeds/feed.csv",
    "az://bucket/feeds/feed.csv",
    "sftp://host.example/out/feed.csv",
    "sftp://root@host.example/out/feed.csv",
    "sftp://supplier:4711@host.example/out/feed.csv",
    "sftp://supplier@host.example/etc/passwd.csv",
    "sftp://supplier@host.example/out/../etc/passwd.csv",
    "ssh://supplier@host.example/out/feed.csv",
    "github://owner:repo@/feed.csv",
    "s3://bucket/feeds/" + "a" * 5_000 + ".csv",
]


class Watch:
    """Sees every file that is opened and every connection that is tried, while it is on."""

    def __init__(self):
        self.is_on, self.seen = False, []
        sys.addaudithook(self.hook)

    def hook(self, event, args):
        if self.is_on and event in ("open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system"):
            self.seen.append((event, args[0]))


@pytest.fixture(scope="module")
def watch():
    return Watch()


@pytest.fixture
def settings(tmp_path, monkeypatch):
    home = tmp_path / "home"
    (home / "in").mkdir(parents=True)
    (tmp_path / "outside.csv").write_text("sku\n4711\n")
    (home / "secret.csv").write_text("sku\n4711\n")
    (home / "in" / "link.csv").symlink_to("../secret.csv")
    (home / "in" / "linked").symlink_to("..")
    (home / "in" / "chain.csv").symlink_to("link.csv")
    (home / "in" / "loop.csv").symlink_to("loop.csv")
    for name in ("feed.pickle", "feed.feather", "feed.orc"):
        (home / "in" / name).write_text("sku\n1\n")
    monkeypatch.chdir(home)
    return read_settings({"RESTOCK_FEEDS": "feeds.yaml", "RESTOCK_SOURCE_ROOTS": ROOTS})


@pytest.mark.parametrize("way", ["parameter", "feed"])
@pytest.mark.parametrize("text", [*PATHS, *ADDRESSES])
def test_a_source_that_reaches_for_more_is_refused_before_anything_is_opened(settings, make_feed, watch, text, way):
    feed, file = (make_feed(), text) if way == "parameter" else (make_feed(source=text), None)
    watch.seen.clear()
    watch.is_on = True

    try:
        with pytest.raises(RestockError) as caught:
            find_source(feed, settings, file)
    finally:
        watch.is_on = False

    assert watch.seen == []
    assert not re.search("4711|Traceback", str(caught.value))


@pytest.mark.parametrize("swapped", ["in/feed.csv", "in"])
def test_a_link_put_in_place_while_a_file_is_found_is_not_followed(settings, make_feed, monkeypatch, tmp_path, swapped):
    (settings.folder / "in" / "feed.csv").write_text("sku\n1\n")
    (tmp_path / "feed.csv").write_text("sku\n4711\n")
    opening = os.open

    def swap_first(path, *args, **kwargs):
        place = settings.folder / swapped
        if not place.is_symlink():
            place.rename(tmp_path / "aside")
            place.symlink_to(tmp_path / ("feed.csv" if swapped.endswith(".csv") else "."))
        return opening(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", swap_first)

    with pytest.raises(SourceError, match="cannot be read: Too many levels of symbolic links"):
        find_source(make_feed(source="in/feed.csv"), settings)


def test_there_are_no_fewer_attacks_than_planned():
    assert len({*PATHS, *ADDRESSES}) >= 60


def test_an_attack_that_goes_through_would_be_seen(settings, make_feed, watch, tmp_path):
    (tmp_path / "home" / "in" / "feed.csv").write_text("sku\n1\n")
    watch.seen.clear()
    watch.is_on = True

    try:
        find_source(make_feed(source="in/feed.csv"), settings)
    finally:
        watch.is_on = False

    assert "open" in {event for event, _ in watch.seen}


def test_a_root_that_is_no_address_is_named(make_feed, tmp_path):
    settings = read_settings({"RESTOCK_FEEDS": str(tmp_path / "f.yaml"), "RESTOCK_SOURCE_ROOTS": "s3://user:4711@b/x/"})

    with pytest.raises(ConfigurationError, match="may hold no password") as caught:
        find_source(make_feed(source="s3://b/x/feed.csv"), settings)
    assert "4711" not in str(caught.value)
