"""The bundled digits: the very pixels, labels and split, for good."""
import hashlib
from pathlib import Path

import numpy as np

from chainrule import datasets
from chainrule.datasets import load_digits

DATA = Path(datasets.__file__).with_name("data")
# SHA-256 of the raw pixels and of the labels, training then test part, taken from scikit-learn's copy
CHECKSUMS = [
    ["bf2b3910a03b69f5f32f0e989e2aa8f37f85749783e4e7a36192edc1c395d58e",
     "970cadb89f4956ed733d1a7ac5d4b2a4d50b094c268f69917fccec48910cfeaf"],
    ["3c05733c55d710109b9a1878ea98f552bb9d33485cd2bddb57cbade1c3c55d6d",
     "28beeed8f5e51f11d7ddbd7a14a006d30684c0abbb11aaeba722dfe30c55514b"],
]


def checksum(a):
    return hashlib.sha256(a.astype(np.uint8).tobytes()).hexdigest()


def test_shapes_dtypes_and_range():
    (x_train, t_train), (x_test, t_test) = load_digits()
    assert (x_train.shape, t_train.shape) == ((1437, 1, 8, 8), (1437,))
    assert (x_test.shape, t_test.shape) == ((360, 1, 8, 8), (360,))
    assert {x_train.dtype, x_test.dtype} == {np.dtype(np.float32)}
    assert {t_train.dtype, t_test.dtype} == {np.dtype(np.int64)}
    assert np.unique(x_train * 16).tolist() == np.unique(x_test * 16).tolist() == list(range(17))


def test_not_a_pixel_a_label_or_the_split_has_changed():
    train, test = load_digits()
    assert [[checksum(x * 16), checksum(t)] for x, t in (train, test)] == CHECKSUMS


def test_every_digit_has_its_fifth_in_the_test_part():
    (_, t_train), (_, t_test) = load_digits()
    train, test = np.bincount(t_train), np.bincount(t_test)
    # The counts that the source states.
    assert (train + test).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (np.abs(test - (train + test) / 5) < 1).all()


def test_each_call_gives_fresh_arrays():
    for part in load_digits():
        for a in part:
            a[...] = 7
    (x_train, t_train), (x_test, t_test) = load_digits()
    assert x_train.max() == x_test.max() == 1 and t_train.min() == t_test.min() == 0


def test_it_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(load_digits()) == 2


def test_the_bundle_is_small_and_names_its_source_and_licence():
    assert (DATA / "digits.npz").stat().st_size < 60_000
    text = (DATA / "LICENSE-digits.md").read_text(encoding="utf-8")
    for word in "Alpaydin", "Kaynak", "10.24432/C50P49", "CC BY 4.0", "creativecommons.org/licenses/by/4.0":
        assert word in text
