"""Threads over the images of a batch, and the small products in them."""
import contextvars
import threading

import numpy as np
import pytest

from chainrule.layers import _threads


@pytest.fixture
def always(monkeypatch):
    """As if small products were fast here, any work worth a thread, and four processors free."""
    monkeypatch.setattr(_threads, "small_is_fast", lambda: True)
    monkeypatch.setattr(_threads, "WORTH_A_THREAD", 100)
    monkeypatch.setattr(_threads, "threads", lambda: 4)


def parts(images, rows, row=1):
    return _threads.spread(lambda part, matmul: (part, matmul), images, rows, row)


def test_the_parts_cover_all_images_in_order(always):
    assert [part for part, _ in parts(10, 10_000)] == [slice(0, 2), slice(2, 5), slice(5, 7), slice(7, 10)]
    assert {matmul for _, matmul in parts(10, 10_000)} == {_threads.small_products}


@pytest.mark.parametrize("images, rows, row, expected", [
    (3, 10_000, 1, 3), (10, 399, 1, 3), (10, 40, 10, 4), (10, 199, 1, 1), (1, 10_000, 1, 1), (10, 10_000, 1 << 16, 4),
    (10, 10_000, (1 << 16) + 1, 1)])
def test_not_more_threads_than_images_or_work_and_none_for_products_of_hardly_a_row(always, images, rows, row, expected):
    found = parts(images, rows, row)
    assert len(found) == expected
    if expected == 1:
        assert found == [(slice(0, images), np.matmul)]


def test_where_small_products_are_slow_blas_has_its_own_threads(always, monkeypatch):
    monkeypatch.setattr(_threads, "small_is_fast", lambda: False)
    assert parts(10, 10_000) == [(slice(0, 10), np.matmul)]


def test_a_thread_lives_no_longer_than_the_call_and_hands_on_its_error(always):
    before = threading.active_count()
    assert len(set(_threads.spread(lambda *_: threading.current_thread(), 4, 10_000, 1)) - {threading.main_thread()}) > 0
    with pytest.raises(ZeroDivisionError):
        _threads.spread(lambda *_: 1 / 0, 4, 10_000, 1)
    assert threading.active_count() == before


def test_a_thread_knows_the_callers_context(always):
    known = contextvars.ContextVar("known", default="nothing")
    known.set("all")
    assert _threads.spread(lambda *_: known.get(), 4, 10_000, 1) == ["all"] * 4


@pytest.mark.parametrize("openblas, omp, expected", [
    ("3", "5", 3), (None, "5", 5), ("", "5", 5), (None, None, 7), ("many", None, 7)])
def test_as_many_threads_as_blas_is_told_to_use(monkeypatch, openblas, omp, expected):
    monkeypatch.setattr(_threads.os, "sched_getaffinity", lambda process: set(range(7)), raising=False)
    for name, value in ("OPENBLAS_NUM_THREADS", openblas), ("OMP_NUM_THREADS", omp):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert _threads.threads() == expected


def test_without_a_word_and_without_affinity_all_processors(monkeypatch):
    for name in "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS":
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delattr(_threads.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(_threads.os, "cpu_count", lambda: 5)
    assert _threads.threads() == 5


BUILD = {"Build Dependencies": {"blas": {"name": "scipy-openblas"}}, "SIMD Extensions": {"found": ["X86_V3", "X86_V4"]}}


@pytest.mark.parametrize("change, core, expected", [
    ({}, None, True), ({}, "SkylakeX", True), ({}, "Haswell", False),
    ({"SIMD Extensions": {"found": ["AVX2", "AVX512_SKX"]}}, None, True),
    ({"SIMD Extensions": {"found": ["X86_V3"]}}, None, False), ({"SIMD Extensions": {}}, None, False),
    ({"Build Dependencies": {"blas": {"name": "accelerate"}}}, None, False)])
def test_small_products_are_fast_with_openblas_on_avx512(monkeypatch, change, core, expected):
    monkeypatch.setattr(np, "show_config", lambda mode: BUILD | change)
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    if core:
        monkeypatch.setenv("OPENBLAS_CORETYPE", core)
    assert _threads.small_is_fast.__wrapped__() is expected


def test_this_numpy_can_be_asked():
    assert _threads.small_is_fast() in (True, False)


@pytest.mark.parametrize("small", [20, 60, 200, 1 << 18])
@pytest.mark.parametrize("transposed", [False, True])
def test_small_products_are_products_and_small(monkeypatch, small, transposed):
    sizes, matmul = [], np.matmul

    def counted(a, b, out):
        sizes.append(a.shape[-2] * a.shape[-1] * b.shape[-1])
        return matmul(a, b, out=out)
    monkeypatch.setattr(np, "matmul", counted)
    monkeypatch.setattr(_threads, "SMALL", small)
    rng = np.random.default_rng(0)
    a = rng.standard_normal((2, 13, 11)).transpose(0, 2, 1) if transposed else rng.standard_normal((2, 11, 13))
    b, out = rng.standard_normal((2, 13, 5)), np.full((2, 11, 5), np.nan)
    assert _threads.small_products(a, b, out) is out
    np.testing.assert_allclose(out, np.einsum("grk,gkf->grf", a, b), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(_threads.small_products(a, b), out)
    assert max(sizes) <= small
