"""load_mnist reads idx files as published, and says what is wrong with others."""
import gzip
import struct

import numpy as np
import pytest

from chainrule.datasets import load_mnist


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
    with pytest.raises(FileNotFoundError, match=r"there is no t10k-images-idx3-ubyte.gz .* in .*; put MNIST's four files there"):
        load_mnist("test", tmp_path)


def test_a_folder_that_is_none():
    with pytest.raises(TypeError, match="^load_mnist: folder should be a path, got None$"):
        load_mnist(folder=None)


def test_another_split(folder):
    with pytest.raises(ValueError, match="split should be 'train', 'test' or None for both, got 'valid'"):
        load_mnist("valid", folder)


@pytest.mark.parametrize("spoil", [
    lambda b: b[:-1], lambda b: b + b"\0", lambda b: b[1:], lambda b: b"", lambda b: b[:3], lambda b: b[:6]])
def test_a_file_that_is_not_whole(folder, spoil):
    path = folder / "t10k-labels-idx1-ubyte"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ValueError, match="is no idx file of bytes, or not whole"):
        load_mnist("test", folder)


def test_a_damaged_archive(folder):
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="is damaged .*; download it again"):
        load_mnist("test", folder)
    path.write_bytes(b"not gzip")
    with pytest.raises(ValueError, match="is damaged"):
        load_mnist("test", folder)


def test_files_that_do_not_belong_together(folder):
    (folder / "t10k-labels-idx1-ubyte").write_bytes((folder / "train-labels-idx1-ubyte").read_bytes())
    with pytest.raises(ValueError, match=r"do not belong together: shapes \(5, 28, 28\) and \(7,\)"):
        load_mnist("test", folder)
