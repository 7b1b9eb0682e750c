"""Every token or pair once, shifted by one; rows that go on; masks that fit."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.datasets import pair_batches, ragged_batches, text_batches
from chainrule.layers import LSTM
from tests.errors import refused


@given(st.integers(1, 8), st.integers(1, 8), st.data())
def test_rows_go_on_from_batch_to_batch_and_targets_are_the_tokens_after(N, T, data):
    M = data.draw(st.integers(N + 1, 80))
    ids = np.arange(M) * 7
    found = list(text_batches(ids, batch_size=N, steps=T))
    assert [x.shape for x, _ in found] == [t.shape for _, t in found]
    assert all(x.shape == (N, T) for x, _ in found[:-1]) and 1 <= found[-1][0].shape[1] <= T
    x, t = (np.concatenate(part, axis=1) for part in zip(*found))
    # The rows, one after the other, are the text but for fewer than N tokens at the end: each once, in order.
    kept = x.size
    assert M - 1 - N < kept <= M - 1
    np.testing.assert_array_equal(x.ravel(), ids[:kept])
    np.testing.assert_array_equal(t.ravel(), ids[1:kept + 1])


def test_batches_are_copies_in_the_dtype_of_the_ids():
    ids = np.arange(9, dtype=np.int32)
    for x, t in text_batches(ids, batch_size=2, steps=4):
        assert x.dtype == t.dtype == np.int32
        x[...] = t[...] = -1
    np.testing.assert_array_equal(ids, np.arange(9))


@pytest.mark.parametrize("arguments, error, message", [
    (([1.0, 2.0], 1), TypeError, "text_batches: ids should hold integers, got float64 list"),
    (([], 1), ValueError, "text_batches: ids should be a sequence of at least one id, shape (T,), got shape (0,)"),
    (([[1, 2]], 1), ValueError, "text_batches: ids should be a sequence of at least one id, shape (T,), got shape (1, 2)"),
    (([1, 2, 3], 3), ValueError, "text_batches: ids should hold more than batch_size=3 tokens, got 3"),
    (([1, 2, 3], 0), ValueError, "text_batches: batch_size should be at least 1, got 0"),
    (([1, 2, 3], 1, 0), ValueError, "text_batches: steps should be at least 1, got 0"),
    (([1, 2, 3], 1, "2"), TypeError, "text_batches: steps should be a whole number, got '2'"),
])
def test_a_wrong_text_is_refused_at_the_call(arguments, error, message):
    with refused(error, message):
        text_batches(*arguments)


# Ids 5.. and -1.. so that 0 is padding only; pair k starts with 5 + k.
SEQUENCES = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=30)


def pairs(lengths):
    x = [list(range(5 + k, 5 + k + n)) for k, (n, _) in enumerate(lengths)]
    t = [[-1 - k] * m for k, (_, m) in enumerate(lengths)]
    return x, t


@given(SEQUENCES, st.integers(1, 9), st.integers(0, 5))
def test_every_pair_comes_once_whole_and_together(lengths, B, seed):
    x, t = pairs(lengths)
    found, sizes = [], []
    for x_batch, t_batch, x_mask, t_mask in pair_batches(x, t, batch_size=B, rng=seed):
        assert x_batch.dtype == t_batch.dtype == np.int64 and x_mask.dtype == t_mask.dtype == bool
        for ids, mask in ((x_batch, x_mask), (t_batch, t_mask)):
            assert ids.shape == mask.shape and len(ids) == len(x_batch)
            assert (ids[~mask] == 0).all() and (ids[mask] != 0).all()
            assert mask.sum(axis=1).max() == mask.shape[1] and (np.diff(mask.astype(int), axis=1) <= 0).all()
        found += [(a[m].tolist(), b[n].tolist()) for a, b, m, n in zip(x_batch, t_batch, x_mask, t_mask)]
        sizes.append(len(x_batch))
    assert sorted(found) == sorted(zip(x, t))
    assert sorted(sizes, reverse=True) == [B] * (len(x) // B) + [len(x) % B] * (len(x) % B > 0)


@given(SEQUENCES, st.integers(1, 9))
def test_no_batch_reaches_into_the_lengths_of_another(lengths, B):
    found = [list(zip(x_mask.sum(axis=1).tolist(), t_mask.sum(axis=1).tolist()))
             for *_, x_mask, t_mask in pair_batches(*pairs(lengths), batch_size=B, rng=0)]
    joined = [pair for batch in sorted(sorted(batch) for batch in found) for pair in batch]
    assert joined == sorted(lengths)


def test_an_epoch_has_an_order_of_its_own_and_a_seed_repeats_it():
    x, t = pairs([(1 + k % 3, 1) for k in range(60)])

    def epoch(rng):
        return [b[0][:, 0].tolist() for b in pair_batches(x, t, batch_size=5, rng=rng)]
    rng = np.random.default_rng(0)
    first, second = epoch(rng), epoch(rng)
    assert first == epoch(0) != second
    assert sorted(map(sorted, first)) != sorted(map(sorted, second))                  # other company
    lengths = [b[0].shape[1] for b in pair_batches(x, t, batch_size=5, rng=0)]
    assert lengths != sorted(lengths)                                                 # other order


def test_padding_may_be_any_id_also_one_that_occurs():
    (x, t, x_mask, t_mask), = pair_batches([[9], [9, 9]], np.array([[1, 2], [3, 4]]), padding=9)
    assert (x == 9).all() and x_mask.tolist() == [[True, False], [True, True]]
    assert t.tolist() == [[1, 2], [3, 4]] and t_mask.all()


@pytest.mark.parametrize("arguments, error, message", [
    (([], []), ValueError, "pair_batches: x and t should hold equally many sequences, at least one, got 0 and 0"),
    (([[1]], [[1], [2]]), ValueError, "pair_batches: x and t should hold equally many sequences, at least one, got 1 and 2"),
    (([[1], []], [[1], [2]]), ValueError,
     "pair_batches: x[1] should be a sequence of at least one id, shape (T,), got shape (0,)"),
    (([[1]], ["abc"]), TypeError, "pair_batches: t[0] should hold integers, got text; Vocabulary.encode makes ids of it"),
    (([[[1], [1, 2]]], [[1]]), ValueError,
     "pair_batches: x[0] should be a sequence of at least one id, shape (T,), got a ragged list"),
    (([[1]], [[1.5]]), TypeError, "pair_batches: t[0] should hold integers, got float64 list"),
    (([1], [[1]]), ValueError, "pair_batches: x[0] should be a sequence of at least one id, shape (T,), got shape ()"),
    (([[1]], [[1]], 0), ValueError, "pair_batches: batch_size should be at least 1, got 0"),
    (([[1]], [[1]], 1, None), TypeError, "pair_batches: padding should be a whole number, got None"),
])
def test_wrong_pairs_are_refused_at_the_call(arguments, error, message):
    with refused(error, message):
        pair_batches(*arguments)


@pytest.mark.parametrize("width, dtype", [((), np.int64), ((3,), np.float32), ((2, 2), np.float64)])
def test_ragged_sequences_come_once_each_with_their_mask_and_target(width, dtype):
    rng = np.random.default_rng(0)
    x = [(10 * rng.standard_normal((1 + rng.integers(9), *width))).astype(dtype) for _ in range(50)]
    seen, lengths = [], []
    for xb, mask, tb in ragged_batches(x, np.arange(50), batch_size=8, padding=-1, rng=0):
        assert xb.dtype == dtype and mask.dtype == bool and mask[:, 0].all() and mask.any(axis=0).all()
        for row, of_row, i in zip(xb, mask, tb):
            np.testing.assert_array_equal(row[of_row], x[i])
            assert (row[~of_row] == -1).all() and of_row[:len(x[i])].all()
        seen += tb.tolist()
        lengths.append(mask.sum(axis=1))
    assert sorted(seen) == list(range(50)) and [*map(len, lengths)].count(8) == 6
    assert sum(np.ptp(n) for n in lengths) < 12                             # of like lengths
    again = next(ragged_batches(x, np.arange(50), 8, rng=0))[2]
    assert again.tolist() == seen[:8]


def test_what_is_padded_changes_nothing_in_a_recurrent_layer():
    x = [np.random.default_rng(n).standard_normal((n, 3)).astype(np.float32) for n in (2, 5, 3)]
    lstm = LSTM.init(3, 4, rng=0)
    xb, mask, t = next(ragged_batches(x, [0, 1, 2], padding=9, rng=0))
    y = lstm.forward(xb, mask)
    for row, i in enumerate(t):
        np.testing.assert_allclose(y[row, :len(x[i])], lstm.forward(x[i][None])[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("x, t, error, message", [
    ([[1], [2]], [0], ValueError, "x and t … 2 and 1"),
    ([[1], []], [0, 1], ValueError, "x[1] … shape (0,)"),
    ([[1], [2.5]], [0, 1], ValueError, "x[1] … x[0], int64 (T,) … float64 (1,)"),
    ([np.ones((2, 3)), np.ones((2, 4))], [0, 1], ValueError, "x[1] … x[0], float64 (T, 3) … float64 (2, 4)"),
    ([["a"]], [0], TypeError, "x[0] … <U1 ndarray"),
    ("abc", [0], TypeError, "x … 'abc'"),
])
def test_ragged_sequences_that_do_not_fit(x, t, error, message):
    with refused(error, f"ragged_batches: {message}"):
        ragged_batches(x, t)
