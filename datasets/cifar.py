"""CIFAR-10: 60,000 colour photographs of 32 x 32 pixels, from the archive of its binary version."""
import gzip
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..common.types import Array, Pair, PathLike
from .download import Published, obtain
from .mnist import Split, parts_of

# The SHA-256 is that by which TensorFlow Datasets checks the file
# (tensorflow_datasets/url_checksums/cifar10.txt), with its size.
CIFAR10_FILE = Published(
    "cifar-10-binary.tar.gz", "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    170052171, ("https://www.cs.toronto.edu/~kriz/",
                "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/"))
PARTS = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}
RECORD = 1 + 3 * 32 * 32                    # the label, then red, green and blue
LARGEST = 10_000 * RECORD                   # bytes of a part
UNPACKED = 6 * LARGEST + (1 << 20)      # of the whole archive


def load_cifar10(split: Split = None, folder: PathLike | None = None) -> tuple[Any, Any]:
    """Photographs of ten kinds of animals and vehicles: x float32 (N, 3, 32, 32) in 0..1, t int64
    (N,).

    - split, folder: as in ``load_mnist``, of 50,000 and 10,000 images. The one file is
      ``cifar-10-binary.tar.gz`` (170 MB), packed or unpacked to ``.tar``; its archive is read in
      place.

    ``class_names("cifar10")`` names the classes.

    Raises ValueError for another split and for a file that is not the archive or not whole,
    FileNotFoundError if it is not there and cannot be fetched.
    Source: Krizhevsky, Learning multiple layers of features from tiny images (2009).
    """
    who = "load_cifar10"
    wanted = [PARTS[part] for part in parts_of(who, split)]
    path = obtain(who, CIFAR10_FILE, folder)
    records = read_parts(who, path, sum(wanted, []))
    pairs = [decoded(who, path, np.concatenate([records[name] for name in names]))
             for names in wanted]
    return (pairs[0], pairs[1]) if split is None else pairs[0]


def decoded(who: str, path: Path, records: Array) -> Pair:
    """Records (N, 3073) as images and labels."""
    t = records[:, 0].astype(np.int64)
    if t.max() > 9:
        raise ValueError(f"{who}: {path} should hold labels in 0..9, got {t.max()}; "
                         "download it again")
    return records[:, 1:].reshape(-1, 3, 32, 32) / np.float32(255), t


def read_parts(who: str, path: Path, names: list[str]) -> dict[str, Array]:
    """The records (N, 3073) of those files of the archive that have these names."""
    found: dict[str, Array] = {}
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            unpacked: Any = Bounded(file, UNPACKED)
            with tarfile.open(fileobj=unpacked, mode="r|") as archive:
                for member in archive:
                    name = member.name.removeprefix("./").removeprefix("cifar-10-batches-bin/")
                    if name in names:
                        found[name] = read_records(archive, member, name)
            while unpacked.read(1 << 16):               # gzip's checksum stands at the end
                pass
        if missing := set(names) - set(found):
            raise ValueError(f"there is no {min(missing)} in it")
        return found
    except (EOFError, ValueError, RecursionError, tarfile.TarError, gzip.BadGzipFile,
            zlib.error) as error:
        raise ValueError(f"{who}: {path} is not CIFAR-10's archive, or damaged ({error}); "
                         "download it again") from None


def read_records(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> Array:
    content = archive.extractfile(member) if member.size <= LARGEST else None
    if content is None or not member.size or member.size % RECORD:
        raise ValueError(f"{name} holds {member.size} bytes, where 1 to 10,000 records of "
                         f"{RECORD} are expected")
    return np.frombuffer(content.read(), np.uint8).reshape(-1, RECORD)


class Bounded:
    """A file that is read up to ``size`` bytes: a small archive may unpack without end."""

    def __init__(self, file: Any, size: int) -> None:
        self.file, self.left = file, size

    def read(self, n: int) -> bytes:
        data = self.file.read(min(n, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise ValueError("it unpacks to more than the published one")
        return data
