"""Published files: one that is not in the folder is downloaded, once."""
import contextlib
import os
from pathlib import Path
from typing import NamedTuple

from ..common.files import naming, path_of

SECONDS = 30                 # how long a server may be silent


class Published(NamedTuple):
    """A published file: its SHA-256 or MD5, its largest size in bytes, its mirrors, and its folder
    inside the data folder."""
    name: str
    checksum: str
    size: int
    mirrors: tuple[str, ...]
    inside: str = ""

    def paths(self, folder: Path) -> list[Path]:
        """Where in a folder the file may be: packed, as published, or unpacked."""
        return [folder / name for name in dict.fromkeys((self.name, self.name.removesuffix(".gz")))]


def data_folder(inside=""):
    """Where downloaded files are kept."""
    named = os.environ.get("CHAINRULE_DATA")
    if not named:
        import pooch
        named = pooch.os_cache("chainrule")
    return path_of("CHAINRULE_DATA", "it", named).expanduser() / inside


def obtain(who, file, folder=None):
    """The path of a published file, downloaded if need be."""
    at = data_folder(file.inside) if folder is None else path_of(who, "folder", folder)
    paths = file.paths(at)
    for path in paths:
        if there(who, path):
            return path
    if folder is None:
        return fetch(who, file, at)
    raise FileNotFoundError(
        f"{who}: there is no {' (or '.join(path.name for path in paths)}{')' * (len(paths) - 1)} "
        f"in {at.absolute()}; put it there, from "
        f"{file.mirrors[0]}{file.name}, or name its folder: {who}(folder=...), or leave folder out "
        "to have it fetched")


def there(who, path):
    with naming(who, path):
        return path.exists()


def fetch(who, file, at):
    """Download a file into the folder ``at``, whole or not at all, from the first mirror that has
    it; what came before a connection broke off is kept, as a .part, for the next."""
    import pooch
    from requests import RequestException
    failures = []
    for mirror in file.mirrors:
        try:
            return Path(pooch.retrieve(mirror + file.name, file.checksum, file.name, at,
                                       downloader=Download(file)))
        except (RequestException, ValueError) as error:
            failures.append(f"{mirror}: {reason(error)}")
        except OSError as error:                       # of the disk: another mirror would not help
            raise type(error)(error.errno, f"{who}: {error.strerror}", str(at)) from None
    raise FileNotFoundError(
        f"{who}: {file.name} is not in {at.absolute()} and could not be fetched "
        f"({'; '.join(failures)}); put it there, from {file.mirrors[0]}{file.name}, or name the "
        f"folder that has it: {who}(folder=...)")


class Download:
    """What pooch calls to fetch a file: with a progress bar, never more bytes than it has."""

    def __init__(self, file):
        self.file = file
        self.version = ""                            # of the server's file, in its words
        self.refused = False                         # to send a part

    def __call__(self, url, path, _):
        part = Path(path).with_name(f"{self.file.name}.part")
        kept = taken(part)
        with kept or open(path, "wb") as to:
            if kept:
                os.unlink(path)                              # a kill leaves nothing but the part
            try:
                self.fill(url, to)
                to.flush()
            except BaseException:
                if kept and not to.tell():
                    os.unlink(part)
                raise
            if kept:
                os.replace(part, path)

    def fill(self, url, to):
        """Receive what the file ``to`` lacks; the whole if that does not become the published file
        with what an earlier call received."""
        begun = to.tell()
        if begun and self.complete(to):
            return
        self.go_on(url, to)
        if begun and not self.complete(to):
            empty(to)
            self.go_on(url, to)

    def complete(self, to):
        from pooch.hashes import hash_matches
        to.flush()
        return hash_matches(to.name, self.file.checksum)

    def go_on(self, url, to):
        """Receive what the file ``to`` lacks, over several connections if they break off."""
        from requests.exceptions import ChunkedEncodingError, ConnectionError, HTTPError, Timeout
        from tqdm.auto import tqdm
        enough = 1 + self.file.size // 1000                  # that each connection has to bring
        with tqdm(desc=self.file.name, unit="B", unit_scale=True, leave=False,
                  initial=to.tell()) as bar:
            while True:
                start = to.tell()
                try:
                    return self.receive(url, to, bar)
                except HTTPError:
                    if not start or to.tell():               # it was not about the part
                        raise
                except (ChunkedEncodingError, ConnectionError, Timeout):
                    if to.tell() < start + enough:
                        raise

    def receive(self, url, to, bar):
        """Write into the file ``to`` what it lacks; the whole if the server's version is new, or it
        sends no parts."""
        import requests
        headers = {"Accept-Encoding": "identity"}            # encoded, a .gz would come unpacked
        if to.tell():
            headers["Range"] = f"bytes={to.tell()}-"
        if to.tell() and self.version:
            headers["If-Range"] = self.version
        with requests.get(url, headers=headers, stream=True, timeout=SECONDS) as answer:
            if answer.status_code == 416 and not self.refused:     # it has no more than was there
                self.refused = True
                empty(to)
            answer.raise_for_status()
            part = answer.headers.get("Content-Range", "")
            if not part.startswith(f"bytes {to.tell()}-"):
                empty(to)
            self.version = answer.headers.get("ETag", answer.headers.get("Last-Modified", ""))
            bar.total = to.tell() + int(answer.headers.get("Content-Length", 0))
            for chunk in answer.iter_content(1 << 12):       # where it breaks off, a chunk is lost
                if to.tell() + len(chunk) > self.file.size:
                    empty(to)
                    raise ValueError("it sends more than the published file has")
                to.write(chunk)
                bar.update(to.tell() - bar.n)
            if to.tell() < bar.total:
                raise requests.exceptions.ChunkedEncodingError("less than its head promised")


def empty(to):
    to.seek(0)
    to.truncate()


def taken(part):
    """The file ``part``, opened at its end and locked; None if another process has it, and on
    Windows."""
    with contextlib.suppress(ImportError, OSError), contextlib.ExitStack() as stack:
        import fcntl
        to = stack.enter_context(open(part, "ab"))
        fcntl.flock(to, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(to.fileno()), os.stat(part)):   # not renamed in between
            stack.pop_all()
            return to
    return None


def reason(error):
    from requests.exceptions import ChunkedEncodingError, ConnectionError, HTTPError, Timeout
    if isinstance(error, HTTPError) and error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    if isinstance(error, Timeout) or "timed out" in str(error):
        return f"no answer within {SECONDS} seconds"
    if isinstance(error, ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, ConnectionError):
        return "no connection"
    if "hash" in str(error):
        return "another file than the published one, by its checksum"
    return str(error)
