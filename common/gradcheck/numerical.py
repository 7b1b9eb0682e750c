"""Derivatives by trying: change one entry a little and see what the function does."""
import warnings
from collections.abc import Callable

import numpy as np

from ..common import checks
from ..common.types import Array, ArrayLike, Computes

# 6e-6: rounding error eps/h and truncation error h² balance there
STEP = np.finfo(np.float64).eps ** (1 / 3)


def numerical_gradient(f: Callable[[Array], ArrayLike], x: ArrayLike, dout: ArrayLike | None = None,
                       eps: float | None = None) -> Array:
    """The gradient of f at x, or of Σ dout · f(x) where f gives an array, by central differences in
    float64:

        ∂f/∂x_i ≈ (f(x + h e_i) - f(x - h e_i)) / 2h

    f takes one array; x is an array of any shape and dtype. A float64 array is changed in place,
    entry by entry, and restored, also when f raises: so f may be a closure that looks at x
    elsewhere, as ``lambda W: net.loss(x, t)`` does in the books. Of another array f is given a
    float64 copy. A UserWarning says if f does not depend on x at all. ``eps`` is h; without it h =
    6·10⁻⁶ · max(1, |x_i|), where the errors of rounding (about 10⁻¹⁶/h) and of truncation (about
    h²) balance. Costs two calls of f per entry. Returns float64 of x's shape. Raises ValueError if
    f gives an array and there is no ``dout``, or one of another shape, and for an ``eps`` too small
    to change x; TypeError if f is no function or gives no numbers. Source: Press et al., Numerical
    Recipes, 5.7.

    >>> numerical_gradient(lambda x: (x ** 2).sum(), np.array([1.0, -3.0])).round(6)
    array([ 2., -6.])
    >>> numerical_gradient(np.sin, np.array([0.0, 1.0]), dout=np.array([1.0, 10.0])).round(6)
    array([1.      , 5.403023])
    """
    who = "numerical_gradient"
    a_class = isinstance(f, type) and hasattr(f, "forward")
    if a_class or not callable(f):
        raise TypeError(checks.wrong(who, "f", "be a function of an array",
                                     f"the class {f.__name__}" if a_class else repr(f),
                                     f"make a layer of it: {f.__name__}(...).forward" if a_class
                                     else ""))
    given, x = x, checks.array(who, "x", x, np.float64)
    if x is not given or type(x) is not np.ndarray or not x.flags.writeable:
        x = np.array(x)
    if eps is not None:
        eps = checks.number(who, "eps", eps, low=np.spacing(np.abs(x).max()),
                            expected="be above 0 and large enough to change x")

    def value(x):
        at = x.copy()
        given = f(x)
        y = np.array(checks.as_array(given))
        x[...] = at  # f may have written into it
        if y.dtype.kind not in "fiub":
            raise TypeError(checks.wrong(who, "f", "give a number or an array of numbers",
                                         checks.kind_text(given, y)))
        y = y.astype(np.float64)
        if dout is None and y.size != 1:
            raise ValueError(checks.wrong(who, "f", "give one number",
                                          f"an array of shape {y.shape}",
                                          "pass dout, the gradient by f(x), of that shape"))
        if dout is not None and y.shape != weights.shape:
            raise ValueError(checks.wrong(who, "dout", f"have the shape of f(x), {y.shape}",
                                          weights.shape))
        return y

    weights = np.ones(()) if dout is None else checks.array(who, "dout", dout, np.float64)
    before = x.copy()
    try:
        slopes = list(columns(value, x, eps))
        if not any(map(np.any, slopes)) and independent(value, x, before):
            warnings.warn(
                "numerical_gradient: f gives the same value whatever x is, so its gradient is 0; f "
                "should use its "
                "argument, or x be the very array (of float64) that f looks at",
                UserWarning,
                stacklevel=2,
            )
    finally:
        x[...] = before
    return np.array([np.sum(weights * column.reshape(weights.shape))
                     for column in slopes]).reshape(x.shape)


def independent(f, x, at):
    """Whether f gives the same far from ``at``, too; else its slope is only 0 there."""
    values = []
    for step in (0, 1, -1, 7):
        x[...] = at + step
        with np.errstate(all="ignore"):
            values.append(f(x))
    return all(np.array_equal(values[0], value, equal_nan=True) for value in values)


def columns(f, x, eps=None):
    """For each entry of x the derivative of the whole output by it; x is restored."""
    flat = x.reshape(-1) if x.flags.c_contiguous else x.flat
    for i in range(x.size):
        before = flat[i]
        h = eps or STEP * max(1.0, abs(before))
        flat[i] = above = before + h
        up = f(x)
        flat[i] = below = before - h
        down = f(x)
        flat[i] = before
        yield (up - down) / (above - below)


def jacobian(layer: Computes, x: ArrayLike, numerical: bool = False) -> Array:
    """The matrix ∂y/∂x (y.size, x.size) of a layer of one input, entries in row-major order.

    From the layer's own backward, one unit upstream gradient e_k at a time: row k is backward(e_k);
    or, with ``numerical=True``, from its forward alone, column by column. ``jacobian(layer,
    x).reshape(y.shape + x.shape)`` is the form that ``torch.autograd.functional.jacobian`` returns.
    In float64, on a copy: the layer is left as it was. Raises TypeError for what is no layer, and
    for a backward that gives no array; ValueError for one that gives another shape than x's.

    >>> class Square:
    ...     params, grads = [], []
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x * x
    ...     def backward(self, dout):
    ...         return dout * 2 * self.x
    >>> jacobian(Square(), np.array([1.0, 3.0]))
    array([[2., 0.],
           [0., 6.]])
    """
    from .subject import Subject

    numerical = checks.flag("jacobian", "numerical", numerical)
    subject = Subject(forwarding("jacobian", layer, backward=not numerical),
                      (checks.array("jacobian", "x", x, np.float64),))
    given, y = subject.inputs[0], subject.output()
    if numerical:
        slopes = columns(lambda x: subject.output((x,)), given.copy())
        return np.stack([c.reshape(-1) for c in slopes], axis=1)
    rows = []
    for dout in np.eye(y.size):
        found = subject.gradients(dout)
        if found.error is not None:
            raise found.error
        dx = checks.array("jacobian", "backward(dout)", found.inputs[0], np.float64, given.shape)
        rows.append(dx.reshape(-1))
    return np.array(rows)


def forwarding(who, layer, backward=False):
    """The layer, if it is an object with a forward and, where it is needed, a backward."""
    if isinstance(layer, type):
        name = layer.__name__
        raise TypeError(checks.wrong(who, "layer", "be an object", f"the class {name}",
                                     f"make one: {name}(...)"))
    methods = ["forward", "backward"][: 1 + backward]
    if not all(callable(getattr(layer, method, None)) for method in methods):
        raise TypeError(checks.wrong(who, "layer", f"have {' and '.join(methods)}", repr(layer)))
    return layer
