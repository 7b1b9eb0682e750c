"""What a training step of each workload costs, in counts: the same on every machine, quiet or busy.

    python tests/benchmarks/counts.py                      all workloads, on both floors

- held: MiB of arrays that a forward leaves for backward, beyond parameters and the batch;
- peak: MiB that a step has at most beyond what was there before it (so what it held already is not in it);
- arrays: how many arrays of 64 KiB or more a step asks for;
- products: how many times forward and backward call np.matmul, np.dot, .dot or np.einsum.

On one thread, after steps that make what is made once. test_counts.py holds them to their figures.
"""
import argparse
import ctypes
import inspect
import sys
import tracemalloc
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import numpy as np
import peer_chainrule  # noqa: F401 (it registers itself)
from threadpoolctl import threadpool_limits
from workloads import PEERS, WORKLOADS

from chainrule.common.engine import compiled

LARGE = 1 << 16                                                # bytes
MAKES = {name: workload.make for name, workload in WORKLOADS.items()}
MAKES["W1"] = partial(MAKES["W1"], batch=4096)                 # else it has no large array


class Allocator(ctypes.Structure):
    """NumPy's PyDataMem_Handler (NEP 49)."""
    _fields_ = [("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("context", ctypes.c_void_p),
                *((name, ctypes.c_void_p) for name in ("malloc", "calloc", "realloc", "free"))]


def interface(number, result, *arguments):
    """A function of NumPy's C interface, by its place in the table."""
    core = np._core if hasattr(np, "_core") else np.core
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = ctypes.cast(pointer(core._multiarray_umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    return ctypes.PYFUNCTYPE(result, *arguments)(table[number])


@contextmanager
def arrays_counted(counts):
    """In this block ``counts.arrays`` grows with every large array that NumPy makes."""
    set_handler, get_handler = interface(304, ctypes.py_object, ctypes.py_object), interface(305, ctypes.py_object)
    pointer, capsule = ctypes.pythonapi.PyCapsule_GetPointer, ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    standard = Allocator.from_address(pointer(get_handler(), b"mem_handler"))
    kind = partial(ctypes.PYFUNCTYPE, ctypes.c_void_p, ctypes.c_void_p)
    malloc, calloc = kind(ctypes.c_size_t)(standard.malloc), kind(ctypes.c_size_t, ctypes.c_size_t)(standard.calloc)

    def counted_malloc(context, size):
        counts.arrays += size >= LARGE
        return malloc(context, size)

    def counted_calloc(context, count, size):
        counts.arrays += count * size >= LARGE
        return calloc(context, count, size)

    callbacks = kind(ctypes.c_size_t)(counted_malloc), kind(ctypes.c_size_t, ctypes.c_size_t)(counted_calloc)
    handler = Allocator(b"counted", 1, standard.context, *(ctypes.cast(c, ctypes.c_void_p) for c in callbacks),
                        standard.realloc, standard.free)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(handler))      # the arrays made here are freed by it, whenever that is
    before = set_handler(capsule(ctypes.addressof(handler), b"mem_handler", None))
    try:
        yield
    finally:
        set_handler(before)


@contextmanager
def products_counted(counts):
    """In this block ``counts.products`` grows with every product."""
    before = {name: getattr(np, name) for name in ("matmul", "dot")}

    def counted(function, *arguments, **options):
        counts.products += 1
        return function(*arguments, **options)

    def called(frame, event, function):                        # a.dot(b) cannot be replaced, but seen
        counts.products += event == "c_call" and function.__name__ in ("dot", "c_einsum")

    profile = sys.getprofile()
    for name, function in before.items():
        setattr(np, name, partial(counted, function))
    sys.setprofile(called)
    try:
        yield
    finally:
        sys.setprofile(profile)
        for name, function in before.items():
            setattr(np, name, function)


def array_bytes():
    """Of the arrays made since tracemalloc began."""
    of_arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([of_arrays]).traces)


def counted(workload):
    """held, peak (bytes), arrays and products of a step of this workload."""
    w, counts = MAKES[workload](), SimpleNamespace(arrays=0, products=0)
    with threadpool_limits(1, "blas"):
        PEERS["chainrule"][workload](w)()                      # what is kept for good: vectors of ones, compiled loops
        step = PEERS["chainrule"][workload](w)
        model = inspect.getclosurevars(step).nonlocals["model"]
        tracemalloc.start()
        try:
            model.forward(*w.batches[0])
            counts.held = array_bytes()
            step()
            step()
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            step()
            counts.peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
        with arrays_counted(counts):
            step()
        with products_counted(counts):
            model.forward(*w.batches[0])
            model.backward()
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS), metavar="W", help=", ".join(WORKLOADS))
    names = parser.parse_args().workloads
    print(f"{'':12}" + "".join(f"{name:>10}" for name in ("held", "peak", "arrays", "products")))
    for workload in names:
        for floor in ("numpy", "compiled")[:1 + compiled.installed()]:
            with compiled.floor(floor):
                c = counted(workload)
            print(f"{workload:4}{floor:8}{c.held / 2**20:10.2f}{c.peak / 2**20:10.2f}{c.arrays:10}{c.products:10}", flush=True)


if __name__ == "__main__":
    main()
