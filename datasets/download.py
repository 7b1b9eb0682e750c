"""Published files: those in a folder are used as they are; one that is missing is fetched, once."""
import os
from pathlib import Path
from typing import Any, NamedTuple

from ..common.files import naming, path_of
from ..common.types import PathLike

SECONDS = 30                 # how long a server may be silent


class Published(NamedTuple):
    """A file as it was published: the SHA-256 or MD5 of its bytes, how many these are at most, the
    addresses that have it, and the folder within the data folder in which it is kept."""
    name: str
    checksum: str
    size: int
    mirrors: tuple[str, ...]
    inside: str = ""

    def paths(self, folder: Path) -> list[Path]:
        """Where in a folder the file may be: packed, as it was published, or unpacked."""
        return [folder / name for name in dict.fromkeys((self.name, self.name.removesuffix(".gz")))]


def data_folder(inside: str = "") -> Path:
    """Where fetched files are kept: the folder that the environment variable CHAINRULE_DATA names,
    otherwise the user's cache."""
    named = os.environ.get("CHAINRULE_DATA")
    if not named:
        import pooch
        named = pooch.os_cache("chainrule")
    return path_of("CHAINRULE_DATA", "it", named).expanduser() / inside


def obtain(who: str, file: Published, folder: PathLike | None = None) -> Path:
    """The path of a published file: in ``folder``; without one, in the data folder, fetched where
    it is missing. Raises FileNotFoundError, which says where to put what."""
    at = data_folder(file.inside) if folder is None else path_of(who, "folder", folder)
    for path in file.paths(at):
        if there(who, path):
            return path
    if folder is None:
        return fetch(who, file, at)
    raise FileNotFoundError(
        f"{who}: there is no {' (or '.join(path.name for path in file.paths(at))}"
        f"{')' * (len(file.paths(at)) - 1)} in {at.absolute()}; put it there, from "
        f"{file.mirrors[0]}{file.name}, or name its folder: {who}(folder=...), or leave folder out "
        "to have it fetched")


def there(who: str, path: Path) -> bool:
    with naming(who, path):
        return path.exists()


def fetch(who: str, file: Published, at: Path) -> Path:
    """Fetch a file into the folder ``at`` from the first mirror that has it as it was published.

    It stands there whole, with the right checksum, or not at all.
    """
    import pooch
    from requests import RequestException
    failures = []
    for mirror in file.mirrors:
        try:
            return Path(pooch.retrieve(mirror + file.name, file.checksum, file.name, at,
                                       downloader=Download(file)))
        except (RequestException, ValueError) as error:
            failures.append(f"{mirror}: {reason(error)}")
        except OSError as error:                       # of the disk, which no other mirror mends
            raise type(error)(error.errno, f"{who}: {error.strerror}", str(at)) from None
    raise FileNotFoundError(
        f"{who}: {file.name} is not in {at.absolute()} and could not be fetched "
        f"({'; '.join(failures)}); put it there, from {file.mirrors[0]}{file.name}, or name the "
        f"folder that has it: {who}(folder=...)")


class Download:
    """What pooch calls to fetch a file: with a progress bar, and never more bytes than it has."""

    def __init__(self, file: Published) -> None:
        self.file = file

    def __call__(self, url: str, path: str, _: Any) -> None:
        import pooch
        from tqdm.auto import tqdm
        name, size = self.file.name, self.file.size
        bar = tqdm(desc=name, total=size, unit="B", unit_scale=True, leave=False)
        with open(path, "wb") as to, bar:
            # Encoded in transit, a .gz would come unpacked.
            pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16, timeout=SECONDS,
                                 headers={"Accept-Encoding": "identity"})(
                url, AtMost(size, to), None)


class AtMost:
    """A file to write to, up to ``size`` bytes: a server may send without end."""

    def __init__(self, size: int, to: Any) -> None:
        self.left, self.to, self.flush = size, to, to.flush

    def write(self, data: bytes) -> None:
        self.left -= len(data)
        if self.left < 0:
            raise ValueError("it sends more than the published file has")
        self.to.write(data)


def reason(error: Exception) -> str:
    """Why a download failed, in a few words."""
    from requests import ConnectionError, HTTPError, Timeout
    from requests.exceptions import ChunkedEncodingError
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
