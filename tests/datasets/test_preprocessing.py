"""Two parts of a partition; images moved, flipped and cut; tables under each other."""
import math
from fractions import Fraction
from functools import partial

import numpy as np
import pandas
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chainrule.datasets import (
    batches,
    merge,
    random_crops,
    random_flips,
    random_shifts,
    train_test_split,
)
from tests.errors import refused

quickly = settings(derandomize=True, deadline=None, max_examples=80)
x, t = np.arange(20.0, dtype=np.float32).reshape(10, 2), np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])


@quickly
@given(data=st.data(), N=st.integers(2, 80), seed=st.integers(0, 2**32))
def test_each_sample_is_in_exactly_one_part_beside_its_own_label(data, N, seed):
    N_test = data.draw(st.integers(1, N - 1))
    x, t = np.arange(3 * N).reshape(N, 3), np.arange(N)
    x_train, x_test, t_train, t_test = train_test_split(x, t, test_size=N_test, rng=seed)
    assert (len(t_train), len(t_test)) == (N - N_test, N_test)
    assert sorted([*t_train, *t_test]) == list(range(N))
    np.testing.assert_array_equal(x_train, x[t_train])
    np.testing.assert_array_equal(x_test, x[t_test])


@quickly
@given(counts=st.lists(st.integers(2, 30), min_size=1, max_size=6), share=st.floats(0.1, 0.9))
def test_stratified_parts_hold_every_class_by_the_largest_remainders(counts, share):
    t = np.repeat(np.arange(len(counts)), counts)
    N = len(t)
    N_test = math.ceil(share * N)
    q = [Fraction(n * N_test, N) for n in counts]                          # the exact quotas
    assume(N_test < N and all(1 <= q_c <= n - 1 for q_c, n in zip(q, counts)))
    i_train, i_test = train_test_split(np.arange(N), test_size=N_test, stratify=t, rng=0)
    assert sorted([*i_train, *i_test]) == list(range(N)) and len(i_test) == N_test
    got = np.bincount(t[i_test], minlength=len(counts)).tolist()
    assert all(abs(n - q_c) < 1 for n, q_c in zip(got, q))
    rounded_up = [q_c % 1 for n, q_c in zip(got, q) if n > q_c]
    rounded_down = [q_c % 1 for n, q_c in zip(got, q) if n < q_c]
    assert not rounded_up or not rounded_down or min(rounded_up) >= max(rounded_down)


def test_known_quotas():
    t = np.repeat(["a", "b", "c"], [50, 30, 17])                           # 97 samples, 20 for the test part
    _, test = train_test_split(t, test_size=0.2, stratify=t, rng=0)        # quotas 10.31, 6.19, 3.505
    assert [np.count_nonzero(test == c) for c in "abc"] == [10, 6, 4]


@pytest.mark.parametrize("N, test_size, N_test", [
    (10, 0.2, 2), (1797, 0.2, 360), (11, 0.25, 3), (5, 0.01, 1), (100, 0.07, 7), (10, np.float32(0.3), 3),
    (10, 1, 1), (10, np.int64(9), 9),
])
def test_a_share_is_rounded_up_to_samples_and_a_count_is_taken_as_it_is(N, test_size, N_test):
    train, test = train_test_split(np.arange(N), test_size=test_size, rng=0)
    assert (len(train), len(test)) == (N - N_test, N_test)


def test_the_default_sets_a_fifth_aside():
    assert [len(part) for part in train_test_split(x, t)] == [8, 2, 8, 2]


def test_a_seed_repeats_the_split_and_stratified_parts_are_shuffled_too():
    def split(rng, stratify):
        parts = train_test_split(np.arange(60), test_size=0.5, stratify=stratify, rng=rng)
        return [part.tolist() for part in parts]
    for stratify in None, np.arange(60) // 20:
        assert split(1, stratify) == split(1, stratify) != split(2, stratify)
        assert set(split(1, stratify)[1]) != set(split(2, stratify)[1])
        assert all(part != sorted(part) for part in split(1, stratify))
    rng = np.random.default_rng(1)
    assert split(rng, None) != split(rng, None)


def test_the_place_of_a_rare_class_in_the_training_part_is_uniform():
    labels = np.arange(22) >= 20                                           # 20 of one class, 2 of the other
    rng, first = np.random.default_rng(0), 0
    for _ in range(300):
        train, _ = train_test_split(labels, test_size=0.5, stratify=labels, rng=rng)
        first += int(np.argmax(train) < 3)                                 # among the first 3 of 11 places
    assert 54 <= first <= 110                                              # 82 expected, give or take 8


def test_parts_are_copies():
    mine = x.copy()
    for part in train_test_split(mine, rng=0):
        part[...] = -1
    np.testing.assert_array_equal(mine, x)


def test_lists_and_labels_of_any_kind_will_do():
    train, test = train_test_split(list("aabbccdd"), test_size=0.5, stratify=list("nnyynnyy"), rng=0)
    assert sorted([*train, *test]) == list("aabbccdd")


def test_a_table_is_split_by_a_column_of_words():
    words = pandas.Series(["b", "a"] * 5, name="kind")
    for labels in words, words.astype(object), words.astype("category"):
        train, test = train_test_split(np.arange(10), test_size=4, stratify=labels, rng=0)
        assert np.bincount(test % 2).tolist() == [2, 2] and len(train) == 6


@pytest.mark.parametrize("call", [batches, train_test_split])
def test_a_mask_is_not_dropped(call):
    with refused(TypeError, f"{call.__name__}: array 1 … without a mask … 1.filled(0)…"):
        call(np.ma.masked_array([[1.0], [2.0]], [[True], [False]]))


@pytest.mark.parametrize("arrays, options, error, message", [
    ((), {}, TypeError, "train_test_split: … none…"),
    ((x, t[:9]), {}, ValueError, "train_test_split: array 2 … 10 … 9"),
    ((x[:0],), {}, ValueError, "train_test_split: array 1 … shape (0, 2)"),
    ((x[:1],), {}, ValueError, "train_test_split: test_size … 1 … 0.2 … 0 … 1…"),
    *[((x,), {"test_size": size}, ValueError, f"train_test_split: test_size … 10 … {size}…")
      for size in (-1, 0, 10, 11, 0.0, 1.0, 1.5, -0.2, 0.99, float("nan"), float("inf"))],
    *[((x,), {"test_size": size}, TypeError, f"train_test_split: test_size … {size!r}…")
      for size in (True, "0.2", None)],
    ((x, t), {"stratify": t[:9]}, ValueError, "train_test_split: stratify … 10 … 9"),
    ((x, t), {"stratify": 3}, TypeError, "train_test_split: stratify … int"),
    ((x, t), {"stratify": np.eye(10)}, ValueError, "train_test_split: stratify … (10,) … (10, 10)…"),
    ((x,), {"stratify": [0] * 9 + [1]}, ValueError, "train_test_split: stratify … 1 … 1…"),
    ((x,), {"stratify": [0] * 8 + [1, 1], "test_size": 9}, ValueError, "train_test_split: stratify … 2 … 1…"),
    ((x,), {"stratify": np.arange(10) // 2}, ValueError, "train_test_split: stratify … 2 … 2…"),
])
def test_a_mistake_is_named(arrays, options, error, message):
    with refused(error, message):
        train_test_split(*arrays, **options)


images = np.arange(2 * 3 * 5 * 4, dtype=np.float32).reshape(2, 3, 5, 4)


@pytest.mark.parametrize(
    "augment", [random_shifts, random_flips, random_crops, partial(random_crops, padding=2)])
def test_augmentation_is_a_function_of_a_batch_and_a_generator(augment):
    before = images.copy()
    rng = np.random.default_rng(0)
    one, two = augment(images, rng), augment(images, rng)
    again = augment(images, np.random.default_rng(0))
    assert (one.shape, one.dtype) == (images.shape, images.dtype)
    assert not np.shares_memory(one, images)
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(images, before)
    if augment not in (random_crops, random_flips):
        assert (one != two).any()


def test_flips_turn_half_of_the_images_each_as_a_whole():
    many = np.tile(images[:1], (400, 1, 1, 1))
    flipped = random_flips(many, rng=0)
    turned = (flipped == many[..., ::-1]).all(axis=(1, 2, 3))
    assert (turned | (flipped == many).all(axis=(1, 2, 3))).all() and 160 < turned.sum() < 240


@pytest.mark.parametrize("size, padding, shape", [
    (2, 0, (2, 2)), ((3, 1), 0, (3, 1)), (None, 2, (5, 4)), ((7, 6), 1, (7, 6)),
    ((5, 4), 0, (5, 4))])
def test_crops_are_parts_of_the_padded_images_from_all_places(size, padding, shape):
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    h, w = shape
    down, right = padded.shape[2] - h + 1, padded.shape[3] - w + 1
    places = [(i, j) for i in range(down) for j in range(right)]
    seen, rng = set(), np.random.default_rng(1)
    for _ in range(40 * len(places)):
        crop = random_crops(images, rng, size, padding)[1]
        seen |= {p for p in places if (crop == padded[1, :, p[0]:p[0] + h, p[1]:p[1] + w]).all()}
    assert seen == set(places)


def test_shifts_are_crops_of_what_is_padded_so():
    cropped = random_crops(images, 3, padding=2)
    np.testing.assert_array_equal(random_shifts(images, 3, most=2), cropped)


def test_a_crop_that_is_larger_than_the_image():
    with refused(ValueError, "random_crops: size should be at most (7, 6), that of the padded "
                             "images, got (8, 6)"):
        random_crops(images, size=(8, 6), padding=1)


def test_merge_of_tables_with_gaps():
    a = pandas.DataFrame({"age": [1, 2], "sex": [True, False]})
    b = pandas.DataFrame({"weight": [60.5], "age": [3]})
    x, names = merge(a, b)
    expected = pandas.concat([a, b])
    assert names == tuple(expected.columns)
    np.testing.assert_array_equal(x, expected.astype(float).to_numpy())
    same, _ = merge(a.astype(float).to_numpy(), b.to_numpy(), columns=(a.columns, b.columns))
    np.testing.assert_array_equal(same, x)


@pytest.mark.parametrize("columns, error, message", [
    (None, TypeError, "columns … None…"),
    ((["a", "b"], ["a", "a"]), ValueError,
     "… b … 2 … ['a', 'a']"),
    ((["a"], ["a", "b"]), ValueError, "… a … 2 … ['a']"),
    ((["a", "b"],), ValueError, "columns … 1"),
    (("ab", ["a", "b"]), TypeError, "columns … 'ab'"),
])
def test_merge_of_tables_whose_names_do_not_fit(columns, error, message):
    with refused(error, f"merge: {message}"):
        merge(np.ones((2, 2)), np.ones((1, 2)), columns)


def test_merge_of_a_column_of_words_names_it():
    table = pandas.DataFrame({"age": [1], "name": ["Ada"]})
    message = "merge: … 'name' … b … ndarray of objects (str)…"
    with refused(TypeError, message):
        merge(pandas.DataFrame({"age": [1]}), table)
