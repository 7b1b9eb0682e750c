"""The compiled floor: plain loops in the place of NumPy's passes over memory.

NumPy passes over memory once for every operator; a loop does all that a value needs while it is in
a register. Numba (extra ``fast``) compiles the loops of this folder. Where it is installed, and
arrays are large enough to gain, a *twin* runs in the place of a page: the same results up to
rounding, the same errors, and the page stays what there is to read. Without numba, with
``CHAINRULE_FLOOR=numpy`` in the environment or in a ``with floor("numpy")`` block, pages run
themselves.

A twin is a class of static methods in one of the modules below, named like the page's class:

- ``forward(layer, x)`` and ``backward(layer, dout)`` of a layer. ``forward`` leaves a ``Kept`` in
  the cache, by which ``backward`` knows its own; without a ``forward``, ``backward`` finds what the
  page left there. Both return None for what they leave to the page;
- ``rule(optimizer, lr, p, g, *state)`` of an optimizer, on flat arrays.

Only a class of this package has one; a subclass with a method of its own runs that.

Functions of the engine, such as the gradient of a convolution, ask ``takes`` and go to a loop
themselves.
"""
import contextlib
import functools
import importlib
import os
import sys
import time

TWINS = {"LayerNorm": "normalization", "GroupNorm": "normalization", "BatchNorm": "normalization",
         "SGD": "optimizers", "Momentum": "optimizers", "Nesterov": "optimizers",
         "AdaGrad": "optimizers", "RMSProp": "optimizers", "Adam": "optimizers",
         "AdamW": "optimizers", "Sigmoid": "activations", "Tanh": "activations",
         "ReLU": "activations", "GELU": "activations"}
LARGE = 1 << 14          # entries from which a compiled loop gains
SEVERAL = {"activations": 4}                 # times as many in this module
SLOW = 1.0               # seconds from which a compilation is announced

wanted = os.environ.get("CHAINRULE_FLOOR", "compiled") != "numpy"


class Kept(tuple):
    """What a twin's forward leaves in the cache."""


@functools.cache
def installed():
    """Whether there is a numba that can be imported: one that is too old for NumPy cannot."""
    try:
        return importlib.import_module("numba") is not None
    except ImportError:
        return False


def running():
    """Which floor large arrays run on: ``"compiled"`` or ``"numpy"``."""
    return "compiled" if wanted and installed() else "numpy"


@contextlib.contextmanager
def floor(name, large=LARGE):
    """In this block, arrays from ``large`` entries on run on the floor ``name``: for tests and
    measurements."""
    global wanted, LARGE
    before = wanted, LARGE
    wanted, LARGE = name == "compiled", large
    try:
        yield
    finally:
        wanted, LARGE = before


def takes(a, times=1):
    """Whether an array of this size goes to a compiled loop."""
    return a.size >= LARGE * times and wanted and installed()


def whole(*arrays):
    """[the arrays as vectors] where loops take them, all in one, else None."""
    vectors = flat(*arrays) if takes(arrays[0]) else None
    return vectors and [vectors]


def twin(cls):
    """The twin of a class of this package, or None."""
    module = TWINS.get(cls.__name__) if cls.__module__.startswith("chainrule.") else None
    return module and getattr(importlib.import_module(f"{__name__}.{module}"), cls.__name__)


def use_twin(cls):
    """Let a layer's class run on its twin, if it has one: forward for a large array, backward for
    what that kept or, in a twin without a forward, for a large array."""
    code = twin(cls)
    if not code:
        return
    page, page_back, alone = cls.forward, cls.backward, not hasattr(code, "forward")
    times = SEVERAL.get(TWINS[cls.__name__], 1)

    @functools.wraps(page)
    def forward(layer, x):
        y = code.forward(layer, x) if takes(x, times) else None
        return page(layer, x) if y is None else y

    @functools.wraps(page_back)
    def backward(layer, dout):
        if layer.cache.__class__ is Kept:
            return code.backward(layer, dout)
        dx = code.backward(layer, dout) if alone and takes(dout, times) else None
        return page_back(layer, dout) if dx is None else dx

    cls.forward, cls.backward = page if alone else forward, backward


class Loop:
    """``@Loop``: a function that numba compiles when it is first called.

    The machine code is kept on disk, in ``__pycache__`` beside the module (or where
    ``NUMBA_CACHE_DIR`` says), so that only the first call ever takes long; it says so if it took
    over a second. Sums may be reordered, as NumPy's are, and a product and a sum made in one; NaN
    and infinity stay what they are.
    """

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.function, self.known = function, set()

    @functools.cached_property
    def compiled(self):
        import numba
        options = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"},
                   "error_model": "numpy"}
        try:
            return numba.njit(cache=True, **options)(self.function)
        except RuntimeError:                     # there is no folder that it could write to
            return numba.njit(**options)(self.function)

    def __call__(self, *arguments):
        kinds = tuple([getattr(a, "dtype", None) for a in arguments])
        if kinds in self.known:
            return self.compiled(*arguments)
        compiled, start = self.compiled, time.perf_counter()
        before = sum(compiled.stats.cache_misses.values())
        result = compiled(*arguments)
        seconds = time.perf_counter() - start
        if seconds > SLOW and sum(compiled.stats.cache_misses.values()) > before:
            sys.stderr.write(f"chainrule: {self.__name__} was compiled in {seconds:.1f} s; "
                             "the next program finds it on disk\n")
        self.known.add(kinds)
        return result


def flat(*arrays):
    """Arrays of one shape as vectors: views, in the order of their memory; None where that
    differs."""
    axes = sorted(range(arrays[0].ndim), key=lambda axis: -arrays[0].strides[axis])
    turned = [a.transpose(axes) for a in arrays]
    return [a.reshape(-1) for a in turned] if all(a.flags.c_contiguous for a in turned) else None
