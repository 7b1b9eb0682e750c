"""Mini-batches: a partition of the data, rows kept together, errors at the call."""
import inspect
import os
import subprocess
import sys

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.layers import Embedding
from chainrule.models import MLP, Sequential
from chainrule.training.batches import batches
from tests.errors import refused

quickly = settings(derandomize=True, deadline=None, max_examples=60)
x, t = np.arange(14.0, dtype=np.float32).reshape(7, 2), np.arange(7)


@quickly
@given(N=st.integers(1, 60), B=st.integers(1, 70), shuffle=st.booleans(), seed=st.integers(0, 2**32))
def test_every_sample_comes_exactly_once_beside_its_own_label(N, B, shuffle, seed):
    x, t = np.arange(3 * N).reshape(N, 3), np.arange(N)
    given_out = list(batches(x, t, batch_size=B, shuffle=shuffle, rng=seed))
    assert [len(tb) for _, tb in given_out] == [B] * (N // B) + [N % B] * (N % B > 0)
    assert sorted(np.concatenate([tb for _, tb in given_out])) == list(range(N))
    for xb, tb in given_out:
        np.testing.assert_array_equal(xb, x[tb])


def test_without_shuffling_the_order_is_kept():
    assert [b.tolist() for b in batches(t, batch_size=3, shuffle=False)] == [[0, 1, 2], [3, 4, 5], [6]]


def test_shuffling_is_the_default_and_the_default_batch_holds_32():
    first, *rest = batches(np.arange(100), rng=0)
    assert len(first) == 32 and len(rest) == 3
    assert sorted(first) != list(range(32))


def test_a_seed_repeats_the_order_and_a_generator_gives_each_epoch_its_own():
    def epoch(rng):
        return np.concatenate(list(batches(np.arange(50), rng=rng))).tolist()
    assert epoch(3) == epoch(3) != epoch(4)
    assert epoch(None) != epoch(None)
    rng = np.random.default_rng(3)
    assert epoch(rng) == epoch(3) != epoch(rng)


def test_the_order_is_drawn_at_the_call():
    rng = np.random.default_rng(0)
    first, second = batches(t, rng=rng), batches(t, rng=rng)
    late, early = next(second), next(first)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(early, next(batches(t, rng=rng)))
    np.testing.assert_array_equal(late, next(batches(t, rng=rng)))


def test_numpys_global_stream_is_left_alone():
    before = np.random.get_state()[1].copy()
    list(batches(x, t))
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_one_array_comes_bare_and_several_in_a_tuple():
    assert isinstance(next(batches(x)), np.ndarray)
    three = next(batches(x, t, x))
    assert isinstance(three, tuple) and len(three) == 3


def test_lists_become_arrays_and_dtypes_are_kept():
    xb, tb, words = next(batches(x, [0, 1, 2, 3, 4, 5, 6], list("abcdefg"), shuffle=False))
    assert (xb.dtype, tb.dtype.kind, words[2]) == (np.float32, "i", "c")


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_batch_is_a_copy(shuffle):
    mine = x.copy()
    for b in batches(mine, batch_size=2, shuffle=shuffle):
        b[...] = -1
    np.testing.assert_array_equal(mine, x)


def test_tables_are_taken_where_arrays_are():
    table = pandas.DataFrame({"age": [1, 2, 3], "size": [0.5, 1, 1.5], "sex": [True, False, True]})
    xb, tb = next(batches(table, table["age"], batch_size=2, shuffle=False))
    np.testing.assert_array_equal(xb, [[1, 0.5, 1], [2, 1, 0]])
    assert tb.tolist() == [1, 2] and xb.dtype == np.float64
    assert next(batches(table[["age"]])).dtype.kind == "i"
    table["gap"] = pandas.array([1, None, 3])
    assert np.isnan(next(batches(table, shuffle=False))[1, 3])


@pytest.mark.parametrize("column, got", [(["a", "b"], "str"), ([True, None], "bool, NAType")])
def test_a_column_that_does_not_hold_numbers_is_named(column, got):
    table = pandas.DataFrame({"age": [1, 2], "name": pandas.array(column)})
    for data in table, table["name"]:
        with refused(TypeError, f"batches: column 'name' … array 1 … ({got}); np.unique(column, return_inverse=True)[1]…"):
            batches(data)


def test_predict_takes_a_table_and_names_the_column_that_does_not_hold_numbers():
    table = pandas.DataFrame({"age": [1, 2], "sex": [True, False], "name": ["a", "b"]})
    model, ids = MLP([2, 3, 2], rng=0), Sequential(Embedding.init(3, 2, rng=0))
    np.testing.assert_array_equal(model.predict(table[["age", "sex"]]),
                                  model.predict([[1.0, 1.0], [2.0, 0.0]]))
    for batch_size in None, 1:
        for one, who in (model, "Flatten"), (ids, "Embedding"):
            who = who if batch_size is None else "batches"
            with refused(TypeError, f"{who}: column 'name' … objects (str)…"):
                one.predict(table[["age", "name"]], batch_size=batch_size)


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited as Linux does it")
def test_a_memory_map_is_read_in_batches_and_never_as_a_whole(tmp_path):
    """A file of 2 GB, of which the process may map one copy and has 256 MB besides."""
    path = tmp_path / "x.npy"
    x = np.lib.format.open_memmap(path, "w+", np.float32, (1 << 19, 1024))           # sparse
    x[-1] = 7
    del x
    code = f"""
import resource, numpy as np
from chainrule.common import checks
from chainrule.datasets import batches
x, t = np.load({str(path)!r}, mmap_mode="r"), np.arange(1 << 19)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
for (xb, tb), _ in zip(batches(x, t, batch_size=512, rng=0), range(20)):
    assert xb.shape == (512, 1024) and (xb[tb == t[-1]] == 7).all()
*_, (xb, tb) = batches(x[-2000:], t[-2000:], shuffle=False)
assert xb[-1, 0] == 7 and not xb[:-1].any()
checks.finite("test", "x", x)
try:
    np.array(x)
except MemoryError:
    print("too large to copy")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})
    assert (done.stdout, done.stderr) == ("too large to copy\n", "")


def test_it_is_a_generator_that_ends():
    g = batches(x, batch_size=np.int64(4))
    assert inspect.isgenerator(g) and len(list(g)) == 2 and list(g) == []


@pytest.mark.parametrize("arrays, options, error, message", [
    ((), {}, TypeError, "batches: … none … batches(x, t)"),
    ((x, t[:6]), {}, ValueError, "batches: array 2 … 7 … 6"),
    ((x[:0], t[:0]), {}, ValueError, "batches: array 1 … shape (0, 2)"),
    ((t, x[:, :0]), {}, ValueError, "batches: array 2 … shape (7, 0)"),
    ((x, None), {}, TypeError, "batches: array 2 … NoneType"),
    ((3.0,), {}, TypeError, "batches: array 1 … float"),
    ((x,), {"rng": "seed"}, TypeError, "batches: rng … numpy.random.Generator … (a … 0) … None … 'seed'"),
    (([[1, 2], [3]],), {}, ValueError, "batches: array 1 … a ragged list…"),
    ((x,), {"batch_size": 0}, ValueError, "batches: batch_size … 1 … 0"),
    ((x,), {"batch_size": -1}, ValueError, "batches: batch_size … 1 … -1"),
    ((x,), {"batch_size": 2.0}, TypeError, "batches: batch_size … 2.0"),
    ((x,), {"batch_size": True}, TypeError, "batches: batch_size … True"),
    ((x,), {"batch_size": np.True_}, TypeError, "batches: batch_size … np.True_"),
    ((x,), {"batch_size": None}, TypeError, "batches: batch_size … None"),
])
def test_a_mistake_is_named_at_the_call(arrays, options, error, message):
    with refused(error, message):
        batches(*arrays, **options)
