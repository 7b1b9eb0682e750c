"""Threads of our own, beside those of BLAS."""
import contextvars
import os
import subprocess
import sys
import threading
import time
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from chainrule.common.engine import threads
from chainrule.common.engine.products import product
from chainrule.layers import Affine, Convolution, Flatten, ReLU, SoftmaxWithLoss
from chainrule.models import Sequential


class Blas:
    """A BLAS that may use four threads and remembers what it was told."""
    num_threads = 4

    def __init__(self):
        self.told = []

    def set_num_threads(self, n):
        self.num_threads = n
        self.told.append(n)


@pytest.fixture
def blas(monkeypatch):
    """Four processors, such a BLAS, and any work worth a thread."""
    fake = Blas()
    monkeypatch.setattr(threads, "blas", lambda: fake)
    monkeypatch.setattr(threads, "processors", lambda: 4)
    monkeypatch.setattr(threads, "WORTH", 100)
    monkeypatch.setattr(threads, "LATE", 0)
    monkeypatch.setattr(threads, "helpers", [])
    return fake


def parts(count, work=10_000):
    return [(part.start, part.stop) for part in threads.spread(lambda part: part, count, work)]


def together(n):
    """A job that is done when n threads are at it, and tells its thread."""
    barrier = threading.Barrier(n)

    def job(_):
        barrier.wait(10)
        return threading.get_ident()
    return job


def test_the_parts_cover_everything_in_order(blas):
    assert parts(10) == [(0, 2), (2, 5), (5, 8), (8, 10)]


@pytest.mark.parametrize("count, work, expected", [
    (3, 10_000, 3), (10, 399, 3), (10, 200, 2), (10, 199, 1), (1, 10_000, 1), (10, 10**9, 4)])
def test_no_more_threads_than_things_work_or_processors(blas, count, work, expected):
    assert len(set(threads.spread(together(expected), count, work))) == expected


def test_little_work_stays_here_and_blas_hears_nothing(blas):
    assert threads.spread(lambda part: (part, threading.get_ident()), 10, 199) == [(slice(0, 10), threading.get_ident())]
    assert blas.told == []


def test_who_begins_at_once_does_more(blas, monkeypatch):
    monkeypatch.setattr(threads, "LATE", 400)
    assert parts(40, work=1000) == [(0, 22), (22, 28), (28, 34), (34, 40)]           # 400 of 1000 and a quarter of the rest
    monkeypatch.setattr(threads, "LATE", 900)
    assert parts(4, work=1000) == [(0, 4)]                                          # nobody is asked to do nothing


def test_the_caller_does_the_first_part_and_threads_are_used_again(blas):
    mine, *first = threads.spread(together(4), 4, 10_000)
    assert mine == threading.get_ident()
    assert set(threads.spread(together(4), 4, 10_000)) == {mine, *first}


@pytest.mark.parametrize("where", [0, 2])
def test_an_error_is_raised_here_when_all_others_are_done(blas, where):
    done = []

    def job(part):
        if part.start == where:
            raise ZeroDivisionError("in part")
        time.sleep(0.05)
        done.append(part.start)
    with pytest.raises(ZeroDivisionError, match="in part"):
        threads.spread(job, 4, 10_000)
    assert sorted(done) == sorted({0, 1, 2, 3} - {where}) and blas.num_threads == 4
    assert parts(4) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_a_thread_knows_the_callers_context(blas):
    known = contextvars.ContextVar("known", default="nothing")
    known.set("all")
    assert threads.spread(lambda _: known.get(), 4, 10_000) == ["all"] * 4


def test_a_waiting_thread_holds_no_arrays(blas):
    class Array:
        pass
    array = Array()
    seen = weakref.ref(array)
    threads.spread(lambda _, array=array: None, 4, 10_000)
    del array
    deadline = time.monotonic() + 10
    while seen() and time.monotonic() < deadline:
        time.sleep(0.001)                       # a thread says that it is done, and then lets go of what it knew
    assert seen() is None


def test_a_job_that_spreads_does_the_same_parts_itself(blas):
    inner = threads.spread(lambda _: (parts(10), set(threads.spread(lambda _: threading.get_ident(), 4, 10_000))), 4, 10_000)
    assert [cut for cut, _ in inner] == [[(0, 2), (2, 5), (5, 8), (8, 10)]] * 4
    assert all(len(at_work) == 1 for _, at_work in inner)


def test_blas_keeps_to_one_thread_meanwhile(blas):
    assert threads.spread(lambda _: blas.num_threads, 4, 10_000) == [1] * 4
    assert blas.num_threads == 4 and threads.allowed == 0


class BlasOfEachThread(Blas):
    """Counts for each calling thread by itself."""
    def __init__(self):
        self.local = threading.local()

    @property
    def num_threads(self):
        return getattr(self.local, "n", 4)

    def set_num_threads(self, n):
        self.local.n = n


def test_a_blas_that_counts_for_each_thread_keeps_to_one_in_ours(blas, monkeypatch):
    fake = BlasOfEachThread()
    monkeypatch.setattr(threads, "blas", lambda: fake)
    assert threads.spread(lambda _: fake.num_threads, 4, 10_000) == [1] * 4
    assert fake.num_threads == 4


def test_one_thread_in_one_thread(blas):
    with threads.one_thread():
        with threads.one_thread():
            assert threads.spread(together(4), 4, 10_000) and blas.num_threads == 1 and threads.allowed == 4
        assert blas.num_threads == 1
    assert blas.num_threads == 4 and threads.allowed == 0
    with pytest.raises(KeyError), threads.one_thread():
        raise KeyError
    assert blas.num_threads == 4


@pytest.mark.parametrize("processors, blas_threads, expected", [(4, 2, 2), (2, 4, 2), (4, 1, 1)])
def test_as_many_threads_as_blas_may_use_and_there_are_processors(blas, monkeypatch, processors, blas_threads, expected):
    monkeypatch.setattr(threads, "processors", lambda: processors)
    blas.num_threads = blas_threads
    assert threads.threads() == expected
    with threads.one_thread():
        assert threads.threads() == expected


def test_with_a_blas_that_nobody_knows(blas, monkeypatch):
    monkeypatch.setattr(threads, "blas", lambda: None)
    with threads.one_thread():
        assert threads.allowed == 0
        assert len(set(threads.spread(together(4), 4, 10_000))) == 4


@pytest.mark.parametrize("R, K, F", [(9, 15, 4), (4, 15, 9), (1, 300, 1), (2, 1, 1)])
@pytest.mark.parametrize("transposed", [False, True])
def test_product(blas, R, K, F, transposed):
    rng = np.random.default_rng(0)
    a, b, dtype = rng.standard_normal((R, K)), rng.standard_normal((K, F)), np.float64
    if transposed:
        a, b = np.asfortranarray(a), np.asfortranarray(b)
    expected = np.einsum("rk,kf->rf", a, b)
    for context in Blas, threads.one_thread:
        with context() if context is threads.one_thread else np.errstate():
            np.testing.assert_allclose(product(a, b), expected, rtol=0, atol=1e-12)
            out = np.full((R, F), np.nan, dtype)
            assert product(a, b, out) is out
            np.testing.assert_allclose(out, expected, rtol=0, atol=1e-12)


def test_large_products_are_spread_where_blas_keeps_to_one_thread(blas, monkeypatch):
    counts = []
    monkeypatch.setattr(threads, "spread", lambda job, count, work: counts.append((count, work)) or [job(slice(0, count))])
    for R, K, F in (9, 5, 4), (4, 7, 7), (5, 10, 4), (4, 10, 6):
        a, b = np.ones((R, K)), np.ones((K, F))
        product(a, b)
        assert counts == []
        with threads.one_thread():
            product(a, b)
        assert counts == [(max(R, F), R * K * F)] * (R * K * F >= 200)           # twice 100
        counts.clear()
    blas.num_threads = 1                               # told so by the user
    with threads.one_thread():
        product(a, b)
    assert counts == []


def test_processors_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5} if pid == 0 else {}, raising=False)
    assert threads.processors.__wrapped__() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert threads.processors.__wrapped__() == 7


@pytest.mark.parametrize("libraries, expected", [
    ([("openmp", "numpy.libs"), ("blas", "scipy.libs"), ("blas", "numpy.libs")], ("blas", "numpy.libs")),
    ([("openmp", "numpy.libs"), ("blas", "system")], ("blas", "system")), ([("openmp", "numpy.libs")], None),
    ([("blas", "numpy.libs mute"), ("blas", "system")], ("blas", "system"))])
def test_of_several_libraries_it_is_numpys_blas(monkeypatch, libraries, expected):
    found = [SimpleNamespace(user_api=api, filepath=f"/{folder}/library.so", num_threads=None if "mute" in folder else 2)
             for api, folder in libraries]
    monkeypatch.setattr(threads, "ThreadpoolController", lambda: SimpleNamespace(lib_controllers=found))
    assert threads.blas.__wrapped__() is (found[libraries.index(expected)] if expected else None)


def test_this_blas_can_be_asked_and_told():
    assert threads.processors() >= 1 and threads.threads() >= 1
    if threads.blas():
        before = threads.blas().num_threads
        with threads.one_thread():
            assert threads.blas().num_threads == 1
        assert threads.blas().num_threads == before


def network():
    return Sequential(Convolution.init(1, 2, 3, rng=0), ReLU(), Flatten(), Affine.init(2 * 4, 3, rng=1), loss=SoftmaxWithLoss())


class Spy(ReLU):
    def __init__(self, blas):
        super().__init__()
        self.blas, self.seen = blas, []

    def forward(self, x):
        self.seen.append(self.blas.num_threads)
        return super().forward(x)

    def backward(self, dout):
        self.seen.append(self.blas.num_threads)
        return super().backward(dout)


@pytest.mark.parametrize("wrap", [lambda layer: layer, Sequential])
def test_a_model_with_convolutions_keeps_blas_to_one_thread(blas, wrap):
    spy, x, t = Spy(blas), np.ones((2, 1, 4, 4), np.float32), np.array([0, 1])
    model = Sequential(wrap(Convolution.init(1, 2, 3, rng=0)), Flatten(), spy, Affine.init(8, 3, rng=1), loss=SoftmaxWithLoss())
    model.forward(x, t)
    model.backward()
    model.predict(x)
    assert spy.seen == [1, 1, 1] and blas.num_threads == 4


@pytest.mark.parametrize("width, own", [(32, True), (31, False)])
def test_a_small_model_leaves_its_threads_to_blas(blas, width, own, monkeypatch):
    """From a weight of 1,024 entries on a product may be worth a thread."""
    monkeypatch.setattr(threads, "WORTH", 1 << 22)           # nothing in here is
    spy = Spy(blas)
    model = Sequential(Affine.init(32, width, rng=1), spy,
                       SimpleNamespace(forward=np.copy, backward=np.copy, params=[], grads=[]), loss=SoftmaxWithLoss())
    model.forward(np.ones((2, 32), np.float32), np.array([0, 1]))
    model.backward()
    model.predict(np.ones((2, 32), np.float32))
    assert spy.seen == ([1, 1, 1] if own else [4, 4, 4]) and bool(blas.told) == own and blas.num_threads == 4


FORK = """
import os, threading
from chainrule.common.engine import threads
from chainrule.common.engine.products import product
threads.WORTH = 1
threads.processors = lambda: 2
class Blas:
    num_threads = 2
    def set_num_threads(self, n): self.num_threads = n
blas = Blas()
threads.blas = lambda: blas
def who(): return threads.spread(lambda _: threading.get_ident(), 2, 1 << 30)
assert len(set(who())) == 2
with threads.one_thread(), threads.working:         # as if another thread were at work
    child = os.fork()
    if not child:
        fresh = blas.num_threads == 2 and not threads.allowed
        os._exit(0 if fresh and len(set(who())) == 2 == blas.num_threads else 1)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_process_that_was_forked_off_has_threads_of_its_own():
    # Python 3.12 warns of any fork where there are threads.
    done = subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK], timeout=60)
    assert done.returncode == 0


END = """
import threading, time
from chainrule.common.engine import threads
from chainrule.common.engine.products import product
threads.WORTH, threads.LATE, threads.processors, threads.blas = 1, 0, lambda: 2, lambda: None
def train():
    time.sleep(0.3)
    print(len(threads.spread(lambda part: part, 4, 1 << 30)))
threading.Thread(target=train).start()
"""


def test_a_thread_of_the_users_may_outlive_the_main_one():
    done = subprocess.run([sys.executable, "-c", END], timeout=60, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("2\n", "")


@pytest.mark.parametrize("call", [1, 2])
def test_ctrl_c_while_blas_is_told_leaves_no_lock(blas, monkeypatch, call):
    def interrupted(n):
        blas.told.append(n)
        if len(blas.told) == call:
            raise KeyboardInterrupt
    monkeypatch.setattr(blas, "set_num_threads", interrupted)
    with pytest.raises(KeyboardInterrupt), threads.one_thread():
        pass
    assert not threads.limiting.locked() and threads.allowed == 0


def test_where_no_thread_starts_the_next_call_does_not_wait_for_it(blas, monkeypatch):
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        parts(4)
    monkeypatch.setattr(threading.Thread, "start", start)
    assert len(parts(4)) == 4
