"""Files are fetched once, from the first mirror that has them as published.

Servers on 127.0.0.1 do wrong what servers can.
"""
import contextlib
import hashlib
import http.server
import os
import re
import subprocess
import sys
import threading
import time

import pytest

from chainrule.datasets import download
from chainrule.datasets.catalogue import CATALOGUE
from chainrule.datasets.download import Published, data_folder, fetch, obtain
from tests.errors import refused

CONTENT = bytes(range(256)) * 4000                                    # a megabyte
SHA256 = hashlib.sha256(CONTENT).hexdigest()
GONE = "http://127.0.0.1:9/"                          # the port "discard", where nothing answers


class Server(http.server.BaseHTTPRequestHandler):
    """What it does is the first part of the path: /slow/file."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Accept-Encoding"]))
        self.server.ranges.append((self.headers["Range"], self.headers["If-Range"]))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            getattr(self, self.path.split("/")[1])()

    def send(self, content, code=200, **headers):
        self.send_response(code)
        for name, value in {"Content_Length": len(content), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def right(self):
        self.send(CONTENT)

    def slow(self):
        self.send(b"", Content_Length=len(CONTENT))
        for i in range(0, len(CONTENT), 1 << 18):
            time.sleep(0.05)
            self.wfile.write(CONTENT[i:i + (1 << 18)])

    def silent(self):
        self.send(CONTENT[:1000], Content_Length=len(CONTENT))
        time.sleep(1)

    def broken(self):
        self.send(CONTENT[:2000], Content_Length=len(CONTENT))

    def unsized(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT[:1000])

    def resuming(self):
        rest = f"bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}"
        self.send(CONTENT[1000:], 206, Content_Range=rest)

    def breaking(self, content=CONTENT, **headers):
        """Each connection breaks off after 409,600 bytes; parts are sent as they are asked for."""
        start = int((self.headers["Range"] or "bytes=0-")[6:-1])
        if start >= len(content):
            return self.send(b"", 416, Content_Range=f"bytes */{len(content)}")
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.send(content[start:start + 409_600], 206 if start else 200,
                  Content_Length=len(content) - start, **headers)

    def failing(self):
        """Breaks off, is ill once, then serves parts."""
        self.ill() if len(self.server.asked) == 2 else self.breaking()

    def held(self):
        """Stops in the middle until the test goes on."""
        self.send(CONTENT[:409_600], Content_Length=len(CONTENT))
        self.server.gate.wait(20)
        self.wfile.write(CONTENT[409_600:])

    def named(self):
        self.breaking(ETag='"first"')

    def dated(self):
        self.breaking(Last_Modified="Mon, 01 Jan 2024 00:00:00 GMT")

    def changed(self):
        """An older file, until the first connection is broken; If-Range knows it from today's."""
        if self.headers["If-Range"] == '"old"':
            self.send(CONTENT, ETag='"new"')
        else:
            self.breaking(CONTENT[::-1], ETag='"old"')

    def forgetful(self):
        """Ranges are ignored; the second connection holds."""
        self.send(CONTENT if len(self.server.asked) > 1 else CONTENT[:409_600],
                  Content_Length=len(CONTENT))

    def partless(self):
        """Each connection breaks off, and there are no parts."""
        if self.headers["Range"]:
            self.send(b"", 416)
        else:
            self.send(CONTENT[:409_600], Content_Length=len(CONTENT))

    def misplaced(self):
        """Another part than the one that was asked for."""
        self.send(CONTENT[:409_600], Content_Length=len(CONTENT)) if len(self.server.asked) == 1 \
            else self.resuming()

    def dripping(self):
        start = int((self.headers["Range"] or "bytes=0-")[6:-1])
        self.send(CONTENT[start:start + 1000], 206, Content_Length=len(CONTENT) - start,
                  Content_Range=f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")

    def lying(self):
        self.send(CONTENT[:-1] + b"?")

    def garbled(self):
        self.send(CONTENT, Content_Length="many")

    def endless(self):
        self.send_response(200)
        self.end_headers()
        for _ in range(64):
            self.wfile.write(CONTENT)

    def missing(self):
        self.send(b"not found", 404)

    def ill(self):
        self.send(b"", 503)

    def elsewhere(self):
        self.send(b"", 302, Location="/right/file.gz")

    def round(self):
        self.send(b"", 302, Location="/round/file.gz")

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.asked, server.ranges, server.gate = [], [], threading.Event()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.shutdown()
        thread.join()


def published(server, *mirrors, checksum=SHA256):
    urls = tuple(GONE if name == "gone" else f"{server.url}/{name}/" for name in mirrors)
    return Published("file.gz", checksum, len(CONTENT), urls)


@pytest.mark.parametrize("mirror", ["right", "slow", "elsewhere"])
def test_a_file_is_fetched_once(server, mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "new" / "folder"))
    file = published(server, mirror)._replace(inside="own")
    path = obtain("load", file)
    assert path == tmp_path / "new" / "folder" / "own" / "file.gz" and path.read_bytes() == CONTENT
    assert {encoding for _, encoding in server.asked} == {"identity"}   # else a .gz may be unpacked
    asked = len(server.asked)
    assert obtain("load", file) == path and len(server.asked) == asked
    assert list(path.parent.iterdir()) == [path]


def test_the_published_md5_will_do(server, tmp_path):
    right, wrong = (f"md5:{hashlib.md5(content).hexdigest()}" for content in (CONTENT, b""))
    assert fetch("load", published(server, "right", checksum=right), tmp_path).exists()
    with refused(FileNotFoundError, f"load: file.gz … {server.url}/right/: … checksum…"):
        fetch("load", published(server, "right", checksum=wrong), tmp_path / "another")


@pytest.mark.parametrize("mirror, why", [
    ("gone", "no connection"), ("missing", "404 Not Found"), ("ill", "503 Service Unavailable"),
    ("broken", "the connection broke off"),
    ("unsized", "… checksum"), ("lying", "… checksum"), ("resuming", "… checksum"),
    ("misplaced", "… checksum"),
    ("dripping", "the connection broke off"),
    ("garbled", "… many…"), ("endless", "… more"),
    ("silent", "… 0.2 seconds"), ("round", "… 30 redirects."),
])
def test_what_a_mirror_that_fails_sent_is_not_kept_and_the_next_is_asked(
        server, mirror, why, tmp_path, monkeypatch):
    if mirror == "silent":
        monkeypatch.setattr(download, "SECONDS", 0.2)
    file = published(server, mirror)
    with refused(FileNotFoundError, f"load: file.gz … ({file.mirrors[0]}: {why}…"):
        fetch("load", file, tmp_path)
    assert not list(tmp_path.iterdir())
    assert fetch("load", published(server, mirror, "right"), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("mirror, version", [
    ("breaking", None), ("named", '"first"'), ("dated", "Mon, 01 Jan 2024 00:00:00 GMT")])
def test_where_the_connection_breaks_off_the_download_goes_on(server, mirror, version, tmp_path):
    assert fetch("load", published(server, mirror), tmp_path).read_bytes() == CONTENT
    assert server.ranges == [
        (None, None), ("bytes=409600-", version), ("bytes=819200-", version)]


@pytest.mark.parametrize("mirror", ["changed", "forgetful"])
def test_a_server_that_sends_the_whole_file_instead_of_a_part_begins_anew(
        server, mirror, tmp_path):
    assert fetch("load", published(server, mirror), tmp_path).read_bytes() == CONTENT
    assert [of for of, _ in server.ranges] == [None, "bytes=409600-"]


def test_the_next_mirror_goes_on_where_the_one_before_broke_off(server, tmp_path):
    file = published(server, "failing", "breaking")
    assert fetch("load", file, tmp_path).read_bytes() == CONTENT
    assert [of for of, _ in server.ranges] == [
        None, "bytes=409600-", "bytes=409600-", "bytes=819200-"]


def test_the_next_call_goes_on_where_the_one_before_broke_off(server, tmp_path):
    with pytest.raises(FileNotFoundError):
        fetch("load", published(server, "failing"), tmp_path)
    assert (tmp_path / "file.gz.part").read_bytes() == CONTENT[:409_600]
    assert fetch("load", published(server, "failing"), tmp_path).read_bytes() == CONTENT
    assert [of for of, _ in server.ranges][2:] == ["bytes=409600-", "bytes=819200-"]
    assert os.listdir(tmp_path) == ["file.gz"]


BEGUN = {"first bytes": CONTENT[:900_000], "all bytes": CONTENT, "no byte": b"",
         "another file": b"<html>", "another file, longer": 2 * CONTENT}


@pytest.mark.parametrize("begun", BEGUN)
@pytest.mark.parametrize("mirror", ["right", "breaking"])     # one sends the whole file, one parts
def test_what_an_earlier_call_left_is_used_if_it_fits(server, mirror, begun, tmp_path):
    (tmp_path / "file.gz.part").write_bytes(BEGUN[begun])
    assert fetch("load", published(server, mirror), tmp_path).read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["file.gz"]
    if begun in ("first bytes", "all bytes"):
        assert len(server.asked) == (begun == "first bytes")


def test_a_mirror_that_changed_fails_and_what_it_sent_is_not_kept(server, tmp_path):
    (tmp_path / "file.gz.part").write_bytes(CONTENT[:-1])
    with refused(FileNotFoundError, "load: file.gz … another file than the published one …"):
        fetch("load", published(server, "lying"), tmp_path)
    assert not os.listdir(tmp_path)


def test_on_a_full_disk_what_came_is_kept_and_no_second_mirror_tried(server, tmp_path):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, limits[1]))
    try:
        with refused(OSError, f"[Errno 27] load: … '{tmp_path}'") as caught:
            fetch("load", published(server, "breaking", "right"), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(tmp_path) and len(server.asked) == 2
    assert (tmp_path / "file.gz.part").read_bytes() == CONTENT[:600_000]
    assert fetch("load", published(server, "breaking"), tmp_path).read_bytes() == CONTENT
    assert server.ranges[2][0] == "bytes=600000-"


@pytest.fixture
def other(server, tmp_path):
    """Another process, in the middle of fetching the file."""
    code = ("import sys; from pathlib import Path; from chainrule.datasets.download import *; "
            "fetch('load', Published('file.gz', sys.argv[1], int(sys.argv[2]), (sys.argv[3],)), "
            "Path(sys.argv[4]))")
    arguments = SHA256, str(len(CONTENT)), f"{server.url}/held/", tmp_path
    with subprocess.Popen([sys.executable, "-c", code, *arguments],
                          stderr=subprocess.DEVNULL) as process:
        part, end = tmp_path / "file.gz.part", time.monotonic() + 20
        while not (part.exists() and part.stat().st_size > 300_000):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.01)
        yield process
        process.kill()


def test_two_processes_at_once(server, other, tmp_path):
    assert fetch("load", published(server, "breaking"), tmp_path).read_bytes() == CONTENT
    assert server.ranges[1] == (None, None)            # it left the other's part alone
    server.gate.set()
    assert other.wait() == 0
    assert os.listdir(tmp_path) == ["file.gz"]
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


def test_after_a_kill_the_next_process_goes_on(server, other, tmp_path):
    other.kill()
    other.wait()
    assert os.listdir(tmp_path) == ["file.gz.part"]
    size = (tmp_path / "file.gz.part").stat().st_size
    assert fetch("load", published(server, "breaking"), tmp_path).read_bytes() == CONTENT
    assert server.ranges[1][0] == f"bytes={size}-"
    assert os.listdir(tmp_path) == ["file.gz"]


def test_what_another_process_has_just_finished_is_not_written_to(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    part = tmp_path / "file.gz.part"
    monkeypatch.setattr(fcntl, "flock", lambda *_: os.replace(part, tmp_path / "file.gz"))
    assert download.taken(part) is None


def test_a_server_that_refuses_parts_and_breaks_off_is_given_up(server, tmp_path):
    assert fetch("load", published(server, "partless", "right"), tmp_path).read_bytes() == CONTENT
    part = "bytes=409600-"
    assert [of for of, _ in server.ranges] == [None, part, None, part, part]


def test_without_locks_each_call_has_a_file_of_its_own(server, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(FileNotFoundError):
        fetch("load", published(server, "failing"), tmp_path)
    assert not os.listdir(tmp_path)
    assert fetch("load", published(server, "breaking"), tmp_path).read_bytes() == CONTENT


def test_a_server_without_end_fills_neither_disk_nor_memory(server, tmp_path, within):
    with within(16 << 20), refused(FileNotFoundError, f"load: file.gz … {server.url}/endless/: … more…"):
        fetch("load", published(server, "endless"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_error_says_what_to_put_where_and_where_it_comes_from(server, tmp_path):
    message = (f"load_mnist: file.gz is not in {tmp_path} and could not be fetched ({GONE}: no "
               f"connection; {server.url}/missing/: 404 Not Found); put it there, from "
               f"{GONE}file.gz, or name the folder that has it: load_mnist(folder=...)")
    with refused(FileNotFoundError, message):
        fetch("load_mnist", published(server, "gone", "missing"), tmp_path)


def test_of_a_disk_that_cannot_be_written_no_second_mirror_is_tried(server, tmp_path):
    (tmp_path / "file").write_text("")
    with refused(OSError, f"… load: … '{tmp_path / 'file'}'"):
        fetch("load", published(server, "right", "right"), tmp_path / "file")
    assert not server.asked


def test_a_named_folder_is_only_read(server, tmp_path):
    message = f"load: … file.gz (or file) … {tmp_path}; … {server.url}/right/file.gz…"
    with refused(FileNotFoundError, message):
        obtain("load", published(server, "right"), tmp_path)
    assert not server.asked
    (tmp_path / "file").write_bytes(b"unpacked")
    assert obtain("load", published(server, "right"), tmp_path) == tmp_path / "file"


def test_the_data_folder(monkeypatch, tmp_path):
    import pooch
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path))
    assert data_folder("own") == tmp_path / "own"
    monkeypatch.setenv("CHAINRULE_DATA", "~/data")
    assert data_folder().is_absolute()
    monkeypatch.delenv("CHAINRULE_DATA")
    assert data_folder() == pooch.os_cache("chainrule")


def test_every_published_file_has_a_checksum_and_mirrors_by_https():
    files = [file for entry in CATALOGUE.values() for file in entry.files]
    assert len(files) == len({file.checksum for file in files}) == 12
    for file in files:
        assert re.fullmatch("[0-9a-f]{64}|md5:[0-9a-f]{32}", file.checksum)
        assert 0 < file.size < 1 << 28 and len(file.mirrors) > 1
        assert all(re.fullmatch("https://.*/", url) for url in file.mirrors)


def test_the_checksums_are_those_of_the_published_files(data):
    """As many as there are: MNIST's test half and two of the three texts."""
    import pooch
    names = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz",
             "ptb.valid.txt", "ptb.test.txt")
    folder = data(*names)
    published = {file.name: file for name in ("mnist", "ptb") for file in CATALOGUE[name].files}
    for name in names:
        assert pooch.hashes.hash_matches(f"{folder}/{name}", published[name].checksum), name
        with open(f"{folder}/{name}", "rb") as file:
            assert len(file.read()) <= published[name].size
