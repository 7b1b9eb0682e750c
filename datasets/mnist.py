"""MNIST: 70,000 handwritten digits of 28 x 28 pixels, read from its published idx files."""
import gzip
import math
import zlib

import numpy as np

from ..common import checks
from ..common.files import naming, path_of

LARGEST = 1 << 28          # values in one file: MNIST has 47 million
FILES = {"train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
         "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")}


def load_mnist(split=None, folder="."):
    """The images as float32 (N, 1, 28, 28) in 0..1 and the labels 0..9 as int64 (N,).

    - split: "train" (60,000) or "test" (10,000) gives ``x, t``; None gives ``(x_train, t_train), (x_test, t_test)``;
    - folder: where the files ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
      ``t10k-labels-idx1-ubyte`` are, each as published, with ``.gz``, or unpacked.

    Raises ValueError for another split and for a file that is no idx file or not whole, FileNotFoundError for one
    that is not there. Source: LeCun, Cortes and Burges, The MNIST database of handwritten digits (1998).
    """
    if split is None:
        return load_mnist("train", folder), load_mnist("test", folder)
    if not isinstance(split, str) or split not in FILES:
        raise ValueError(f"load_mnist: split should be 'train', 'test' or None for both, got {checks.text(split)}")
    images, labels = (read_idx(found(path_of("load_mnist", "folder", folder), name)) for name in FILES[split])
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise ValueError(f"load_mnist: images and labels of {folder} do not belong together: "
                         f"shapes {images.shape} and {labels.shape}")
    return (images / np.float32(255))[:, None], labels.astype(np.int64)


def found(folder, name):
    for path in (folder / f"{name}.gz", folder / name):
        with naming("load_mnist", path):
            if path.exists():
                return path
    raise FileNotFoundError(f"load_mnist: there is no {name}.gz (or {name}) in {folder.absolute()}; put MNIST's four files "
                            "there, or name their folder: load_mnist(folder=...)")


def read_idx(path):
    """The array in an idx file of unsigned bytes, packed by gzip or not.

    Format: two zero bytes, 8 for "unsigned byte", the number of axes; the size of each axis in four bytes, high byte
    first; the values.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            head = file.read(4)
            axes = head[3] if len(head) == 4 and head[:3] == b"\0\0\x08" and head[3] in (1, 3) else 0
            sizes = file.read(4 * axes)
            shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4")) if axes and len(sizes) == 4 * axes else ()
            size = math.prod(shape) if shape else 0
            if not 0 < size <= LARGEST:
                raise ValueError(f"load_mnist: {path} is no idx file of bytes, or not whole: its head says {shape}, where 1 or 3 "
                                 f"axes with at most {LARGEST:,} values are expected; download it again")
            raw = file.read(size + 1)                      # never more than the head promises
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"load_mnist: {path} is damaged ({error}); download it again") from None
    if len(raw) != size:
        raise ValueError(f"load_mnist: {path} is no idx file of bytes, or not whole: its head promises {size} "
                         f"values, it holds {'more' if len(raw) > size else len(raw)}; download it again")
    return np.frombuffer(raw, np.uint8).reshape(shape)
