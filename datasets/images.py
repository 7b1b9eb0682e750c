"""Images: digits that come with the package, MNIST, Fashion-MNIST and CIFAR-10."""
import gzip
import math
import struct
import tarfile
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..common import checks
from ..common.types import Pair, PathLike
from .download import Published, obtain

Split = Literal["train", "test"] | None
DAMAGED = EOFError, gzip.BadGzipFile, zlib.error
LARGEST = 1 << 28                           # values in an idx file: MNIST has 47 million
RECORD = 1 + 3 * 32 * 32                    # in CIFAR-10: the label, then red, green and blue
PART = 10_000 * RECORD                      # bytes of one of its files
UNPACKED = 6 * PART + (1 << 20)             # of its whole archive

# SHA-256 and sizes are those of TensorFlow Datasets: mnist.txt, fashion_mnist.txt and cifar10.txt
# of tensorflow_datasets/url_checksums.
MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/",
           "https://storage.googleapis.com/cvdf-datasets/mnist/")
FASHION = ("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
           "https://storage.googleapis.com/tensorflow/tf-keras-datasets/")
NAMES = [f"{part}-{what}-ubyte.gz" for part in ("train", "t10k")
         for what in ("images-idx3", "labels-idx1")]


def idx_files(mirrors, inside, *published):
    """By split, the files that MNIST and Fashion-MNIST have: checksums and sizes as in NAMES."""
    four = [Published(name, *of, mirrors, inside) for name, of in zip(NAMES, published)]
    return {"train": tuple(four[:2]), "test": tuple(four[2:])}


MNIST_FILES = idx_files(
    MIRRORS, "",
    ("440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9912422),
    ("3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28881),
    ("8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1648877),
    ("f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4542))
FASHION_FILES = idx_files(
    FASHION, "fashion-mnist",
    ("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26421880),
    ("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29515),
    ("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4422102),
    ("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5148))
CIFAR10_FILE = Published(
    "cifar-10-binary.tar.gz", "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    170052171, ("https://www.cs.toronto.edu/~kriz/",
                "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/"))
PARTS = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}


def load_digits() -> tuple[Pair, Pair]:
    """The 1,797 images of 8×8 pixels of the UCI Optical Recognition of Handwritten Digits data set.

    Thirteen people wrote the digits 0..9. Each bitmap of 32×32 was divided into blocks of 4×4, and
    a pixel is the number of ink dots in its block, 0..16, here divided by 16.

    Returns ``(x_train, t_train), (x_test, t_test)``, fresh arrays on each call:

    - x_train (1437, 1, 8, 8) and x_test (360, 1, 8, 8), float32, 0 for paper to 1 for ink;
    - t_train (1437,) and t_test (360,), int64, the digit.

    The split is always the same: of the images sorted by digit every fifth is a test image. Both
    parts keep the order of the source, and have the same writers: the test asks about new images,
    not about new writers.

    Source: Alpaydin and Kaynak (1998), UCI Machine Learning Repository,
    https://doi.org/10.24432/C50P49, licence CC BY 4.0 (data/LICENSE-digits.md).

    >>> (x_train, t_train), (x_test, t_test) = load_digits()
    >>> x_train.shape, x_test.shape, t_train[:10]
    ((1437, 1, 8, 8), (360, 1, 8, 8), array([1, 3, 5, 6, 7, 8, 9, 0, 1, 2]))
    """
    with np.load(Path(__file__).with_name("data") / "digits.npz") as file:
        x = file["images"][:, None].astype(np.float32) / 16
        t = file["labels"].astype(np.int64)
    test = np.zeros(len(t), dtype=bool)
    test[np.argsort(t, kind="stable")[::5]] = True
    return (x[~test], t[~test]), (x[test], t[test])


def load_mnist(split: Split = None, folder: PathLike | None = None) -> tuple[Any, Any]:
    """Handwritten digits: the images as float32 (N, 1, 28, 28) in 0..1, the labels 0..9 as int64
    (N,).

    - split: "train" (60,000) or "test" (10,000) gives ``x, t``; None gives
      ``(x_train, t_train), (x_test, t_test)``;
    - folder: where the files ``train-images-idx3-ubyte.gz``, ``train-labels-idx1-ubyte.gz``,
      ``t10k-images-idx3-ubyte.gz`` and ``t10k-labels-idx1-ubyte.gz`` are, packed or unpacked;
      nothing is downloaded then. None: the data folder, named by the environment variable
      CHAINRULE_DATA, or else the user's cache; missing files are downloaded into it once.

    Raises ValueError for another split and for a file that is not an idx file or not whole,
    FileNotFoundError for one that is not there and cannot be fetched.
    Source: LeCun, Cortes and Burges, The MNIST database of handwritten digits (1998).
    """
    return images_and_labels("load_mnist", MNIST_FILES, split, folder)


def load_fashion_mnist(split: Split = None, folder: PathLike | None = None) -> tuple[Any, Any]:
    """Photographs of clothes, in the shapes of MNIST: x float32 (N, 1, 28, 28) in 0..1, t int64
    (N,).

    Arguments and errors are those of ``load_mnist``. The files have the same names, so downloaded
    ones are kept in a folder ``fashion-mnist`` inside the data folder.
    ``class_names("fashion-mnist")`` names the ten classes.

    Source: Xiao, Rasul and Vollgraf, Fashion-MNIST (2017), MIT licence.
    """
    return images_and_labels("load_fashion_mnist", FASHION_FILES, split, folder)


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


def images_and_labels(who, files, split, folder):
    pairs = [pair(who, files[part], folder) for part in parts_of(who, split)]
    return (pairs[0], pairs[1]) if split is None else pairs[0]


def parts_of(who, split):
    if split is None:
        return ["train", "test"]
    if not isinstance(split, str) or split not in ("train", "test"):
        raise ValueError(checks.wrong(who, "split", "be 'train', 'test' or None for both",
                                      checks.text(split)))
    return [split]


def pair(who, files, folder):
    paths = [obtain(who, file, folder) for file in files]
    images, labels = (read_idx(who, path) for path in paths)
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise ValueError(f"{who}: images and labels of {paths[0].parent} do not belong together: "
                         f"shapes {images.shape} and {labels.shape}")
    if labels.max() > 9:
        raise ValueError(f"{who}: {paths[1]} should hold labels in 0..9, got {labels.max()}")
    return (images / np.float32(255))[:, None], labels.astype(np.int64)


def unpacking(path):
    return (gzip.open if path.suffix == ".gz" else open)(path, "rb")


def read_idx(who, path):
    """The array in an idx file, packed by gzip or not: two zero bytes, 8 for "unsigned byte", the
    number of axes; the size of each axis in four bytes, high byte first; the values."""
    try:
        with unpacking(path) as file:
            head = file.read(4)
            axes = head[3] if head in (b"\0\0\x08\1", b"\0\0\x08\3") else 0
            sizes = file.read(4 * axes)
            shape = struct.unpack(f">{axes}I", sizes) if len(sizes) == 4 * axes else ()
            size = math.prod(shape) if shape else 0
            if not 0 < size <= LARGEST:
                raise ValueError(
                    f"{who}: {path} is not an idx file of bytes, or not whole: its head says "
                    f"{shape}, where 1 or 3 axes with at most {LARGEST:,} values are expected; "
                    "download it again")
            raw = file.read(size + 1)                      # never more than the head promises
    except DAMAGED as error:
        raise ValueError(f"{who}: {path} is damaged ({error}); download it again") from None
    if len(raw) != size:
        raise ValueError(
            f"{who}: {path} is not an idx file of bytes, or not whole: its head promises {size} "
            f"values, it holds {'more' if len(raw) > size else len(raw)}; download it again")
    return np.frombuffer(raw, np.uint8).reshape(shape)


def decoded(who, path, records):
    """Records (N, 3073) as images and labels."""
    t = records[:, 0].astype(np.int64)
    if t.max() > 9:
        raise ValueError(f"{who}: {path} should hold labels in 0..9, got {t.max()}; "
                         "download it again")
    return records[:, 1:].reshape(-1, 3, 32, 32) / np.float32(255), t


def read_parts(who, path, names):
    """The records (N, 3073) of those files of the archive."""
    found = {}
    try:
        with unpacking(path) as file:
            unpacked = Bounded(file, UNPACKED)
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
    except (ValueError, RecursionError, tarfile.TarError, *DAMAGED) as error:
        raise ValueError(f"{who}: {path} is not CIFAR-10's archive, or damaged ({error}); "
                         "download it again") from None


def read_records(archive, member, name):
    content = archive.extractfile(member) if member.size <= PART else None
    if content is None or not member.size or member.size % RECORD:
        raise ValueError(f"{name} holds {member.size} bytes, where 1 to 10,000 records of "
                         f"{RECORD} are expected")
    return np.frombuffer(content.read(), np.uint8).reshape(-1, RECORD)


class Bounded:
    """A file that is read up to ``size`` bytes: a small archive may unpack without end."""

    def __init__(self, file, size):
        self.file, self.left = file, size

    def read(self, n):
        data = self.file.read(min(n, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise ValueError("it unpacks to more than the published one")
        return data
