"""Threads over the images of a batch: what uses all processors where BLAS's own threads cannot.

The threads of BLAS calculate one matrix product together. Between products, while windows are cut and gradients are
added back, they wait; two Python threads that ask for products get them one after the other. So ``spread`` gives each
thread images of its own, and products so small that BLAS uses one thread for each.

That pays where small products are as fast as large ones: OpenBLAS's kernels for AVX-512 take the matrices as they lie,
those for other processors copy them into another order first. There everything is left to the threads of BLAS.
"""
import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from itertools import pairwise

import numpy as np

SMALL = 1 << 18          # multiplications up to which OpenBLAS calculates a product in the thread that asks
FEW = 4                  # rows that a small product should have at least, not to be slow
WORTH_A_THREAD = 1 << 24      # multiplications that take about half a millisecond; starting a thread takes a tenth of one


def spread(job, images, rows, row):
    """[job(part, matmul), ...] for slices ``part`` that cover so many images, in threads that live as long as the call.

    ``matmul`` is the product of stacks of matrices that the job should use: np.matmul or, in several threads,
    small_products. In all there are ``rows`` rows to be multiplied, with a matrix of ``row`` elements each.
    """
    n = min(images, threads(), rows * row // WORTH_A_THREAD) if FEW * row <= SMALL and small_is_fast() else 1
    if n < 2:
        return [job(slice(0, images), np.matmul)]
    cuts = [images * i // n for i in range(n + 1)]
    parts = [(copy_context(), slice(*ends)) for ends in pairwise(cuts)]         # np.errstate, for one, is kept in the context
    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(lambda part: part[0].run(job, part[1], small_products), parts))


def threads():
    """As many as BLAS is told to use by the environment, else one for each processor that this process may use."""
    told = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    if told.isdigit():
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@cache
def small_is_fast():
    """Whether NumPy's BLAS is an OpenBLAS that uses its kernels for AVX-512 (OPENBLAS_CORETYPE may name others)."""
    build = np.show_config("dicts")
    return ("openblas" in build["Build Dependencies"]["blas"]["name"]
            and not {"AVX512_SKX", "X86_V4"}.isdisjoint(build["SIMD Extensions"].get("found", ()))
            and os.environ.get("OPENBLAS_CORETYPE", "SkylakeX") in ("SkylakeX", "Cooperlake", "SapphireRapids"))


def small_products(a, b, out=None):
    """a · b for stacks a (G, R, K) and b (G, K, F), a few rows at a time; where K is long, as the sum of two halves."""
    (G, R, K), F = a.shape, b.shape[-1]
    if out is None:
        out = np.empty((G, R, F), a.dtype)
    if FEW * K * F > SMALL and K > 1:
        small_products(a[:, :, :K // 2], b[:, :K // 2], out)
        out += small_products(a[:, :, K // 2:], b[:, K // 2:])
        return out
    few = max(1, SMALL // (K * F))
    whole = R - R % few
    np.matmul(a[:, :whole].reshape(G, -1, few, K), b[:, None], out=out[:, :whole].reshape(G, -1, few, F))
    np.matmul(a[:, whole:], b, out=out[:, whole:])
    return out
