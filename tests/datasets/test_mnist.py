"""load_mnist reads idx files as published, and says what is wrong with others."""
import gzip
import shutil
import struct

import numpy as np
import pytest

from chainrule.datasets import load_fashion_mnist, load_mnist
from tests.errors import refused


def idx(a):
    return bytes([0, 0, 8, a.ndim]) + struct.pack(f">{a.ndim}I", *a.shape) + a.tobytes()


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for part, n in (("train", 7), ("t10k", 5)):
        images, labels = rng.integers(0, 256, (n, 28, 28), np.uint8), rng.integers(0, 10, n, np.uint8)
        images[0, 0, :2] = 0, 255
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))          # one of them unpacked
        np.savez(tmp_path / f"{part}.npz", images=images, labels=labels)
    return tmp_path


@pytest.mark.parametrize("split, part, n", [("train", "train", 7), ("test", "t10k", 5)])
def test_images_and_labels_as_in_the_file(folder, split, part, n):
    x, t = load_mnist(split, folder)
    assert (x.shape, x.dtype, t.shape, t.dtype) == ((n, 1, 28, 28), np.float32, (n,), np.int64)
    with np.load(folder / f"{part}.npz") as file:
        np.testing.assert_array_equal(np.round(x[:, 0] * 255), file["images"])
        np.testing.assert_array_equal(t, file["labels"])
    assert x[0, 0, 0, 0] == 0 and x[0, 0, 0, 1] == 1


def test_both_splits(folder):
    (x, t), (x_test, t_test) = load_mnist(folder=folder)
    assert (len(x), len(t), len(x_test), len(t_test)) == (7, 7, 5, 5)


def test_a_missing_file_is_named_with_what_to_do(tmp_path):
    with refused(FileNotFoundError, f"load_mnist: … t10k-images-idx3-ubyte.gz (or t10k-images-idx3-ubyte) … {tmp_path}; …"):
        load_mnist("test", tmp_path)


def test_a_folder_that_is_none():
    with refused(TypeError, "load_mnist: folder … 3"):
        load_mnist(folder=3)


def test_labels_that_are_not_digits(folder):
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(5, 10, np.uint8)))
    with refused(ValueError, "load_mnist: … t10k-labels-idx1-ubyte … 0..9 … 10"):
        load_mnist("test", folder)


def test_a_small_archive_that_unpacks_without_end_is_not_unpacked(folder, within):
    """64 MB of zeros after the promised bytes; no more than one of them is read."""
    labels = idx(np.zeros(5, np.uint8)) + bytes(1 << 26)
    (folder / "t10k-labels-idx1-ubyte").unlink()
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels, 1))
    with within(1 << 20), refused(ValueError, "load_mnist: … t10k-labels-idx1-ubyte.gz … 5 values … more…"):
        load_mnist("test", folder)


def test_a_head_that_promises_terabytes(folder):
    head = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**32 - 1, 28, 28)
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + bytes(784)))
    with refused(ValueError, "load_mnist: … t10k-images-idx3-ubyte.gz … (4294967295, 28, 28) … 1 or 3 axes…"):
        load_mnist("test", folder)


def test_fashion_is_read_alike(folder):
    for mine, other in zip(load_fashion_mnist("test", folder), load_mnist("test", folder)):
        np.testing.assert_array_equal(mine, other)
    with refused(ValueError, "load_fashion_mnist: split … 'train', 'test' … None … 'valid'"):
        load_fashion_mnist("valid", folder)


def test_the_data_folder_is_where_the_environment_says(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("CHAINRULE_DATA", str(folder))
    np.testing.assert_array_equal(load_mnist("test")[1], load_mnist("test", folder)[1])
    (folder / "fashion-mnist").mkdir()
    for path in folder.glob("t10k*ubyte*"):
        shutil.copy(path, folder / "fashion-mnist")
    assert load_fashion_mnist("test")[0].shape == (5, 1, 28, 28)


def test_the_published_test_images(data):
    x, t = load_mnist("test", data("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"))
    assert (x.shape, x.dtype, t.dtype) == ((10_000, 1, 28, 28), np.float32, np.int64)
    assert t[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(t).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert round(float(x.mean()), 4) == 0.1325


def test_another_split(folder):
    with refused(ValueError, "load_mnist: split … 'train', 'test' … None … 'valid'"):
        load_mnist("valid", folder)


@pytest.mark.parametrize("spoil", [
    lambda b: b[:-1], lambda b: b + b"\0", lambda b: b[1:], lambda b: b"", lambda b: b[:3], lambda b: b[:6]])
def test_a_file_that_is_not_whole(folder, spoil):
    path = folder / "t10k-labels-idx1-ubyte"
    path.write_bytes(spoil(path.read_bytes()))
    with refused(ValueError, "load_mnist: … t10k-labels-idx1-ubyte…"):
        load_mnist("test", folder)


def test_a_damaged_archive(folder):
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:200])
    with refused(ValueError, "load_mnist: … t10k-images-idx3-ubyte.gz … damaged…"):
        load_mnist("test", folder)
    path.write_bytes(b"not gzip")
    with refused(ValueError, "load_mnist: … t10k-images-idx3-ubyte.gz … damaged…"):
        load_mnist("test", folder)


def test_files_that_do_not_belong_together(folder):
    (folder / "t10k-labels-idx1-ubyte").write_bytes((folder / "train-labels-idx1-ubyte").read_bytes())
    with refused(ValueError, "load_mnist: … (5, 28, 28) and (7,)"):
        load_mnist("test", folder)
