"""Vectors, for sums that stay in registers.

Numba makes vectors of an innermost loop alone. A sum over several of them, such as a window's,
would go to memory and back at every step; a variable of this type stays where it is.
"""
import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.extending import intrinsic, models, register_jitable, register_model

FEATURES = get_host_cpu_features()
BYTES = 64 if FEATURES.get("avx512f") else 32 if FEATURES.get("avx") else 16    # of a register


class Lanes(types.Type):
    def __init__(self, dtype, count):
        self.dtype, self.count = dtype, count
        super().__init__(f"Lanes({dtype}, {count})")


@register_model(Lanes)
class Model(models.PrimitiveModel):
    def __init__(self, manager, kind):
        entry = manager.lookup(kind.dtype).get_value_type()
        super().__init__(manager, kind, ir.VectorType(entry, kind.count))


def widest(a):
    return Lanes(a.dtype, BYTES * 8 // a.dtype.bitwidth)


def pointer(context, build, array, args, kind):
    data = context.make_array(array)(context, build, args[0]).data
    place = build.gep(data, [args[1]], inbounds=True)
    return build.bitcast(place, context.get_value_type(kind).as_pointer())


def splat(build, value, kind):
    """The number in all lanes of a vector of LLVM's type ``kind``."""
    one = build.insert_element(kind(ir.Undefined), value, ir.IntType(32)(0))
    return build.shuffle_vector(one, one, ir.VectorType(ir.IntType(32), kind.count)(None))


@intrinsic
def load_like(_, a, i, like):
    """``a[i:i + lanes]``, as many as ``like`` has; i is not checked."""
    kind = Lanes(a.dtype, like.count)

    def code(context, build, _, args):
        place = pointer(context, build, a, args, kind)
        return build.load(place, align=a.dtype.bitwidth // 8)
    return kind(a, types.intp, like), code


@register_jitable
def load(a, i):
    """``a[i:i + lanes]``; i is not checked."""
    return load_like(a, i, zeros(a))


@intrinsic
def store(_, a, i, value):
    """``a[i:i + lanes] = value``; i is not checked."""
    def code(context, build, _, args):
        place = pointer(context, build, a, args, value)
        build.store(args[2], place, a.dtype.bitwidth // 8)
        return context.get_dummy_value()
    return types.none(a, types.intp, value), code


@intrinsic
def zeros(_, a):
    def code(context, build, _, args):
        return context.get_value_type(widest(a))(None)
    return widest(a)(a), code


@intrinsic
def multiply_add(_, a, b, c):
    """a b + c."""
    def code(context, build, _, args):
        a, b, c = args
        if c.type.element == ir.IntType(8):
            return build.add(build.mul(a, b), c)
        return build.fadd(build.fmul(a, b, flags=["contract"]), c, flags=["contract"])
    return c(a, b, c), code


@intrinsic
def add(_, a, b):
    def code(context, build, _, args):
        return build.fadd(*args)
    return a(a, b), code


@intrinsic
def filled(_, number, like):
    """As many numbers of one value as ``like`` has."""
    kind = Lanes(number, like.count)

    def code(context, build, _, args):
        return splat(build, args[0], context.get_value_type(kind))
    return kind(number, like), code


@intrinsic
def if_before(_, u, v, place, other, a, b):
    """a where u > v, or u alone is NaN, or u = v and place < other, else b."""
    def code(context, build, _, args):
        u, v, place, other, a, b = args
        larger = build.and_(build.fcmp_unordered(">", u, v), build.fcmp_ordered("ord", v, v))
        before = build.and_(build.fcmp_ordered("==", u, v),
                            build.icmp_unsigned("<", place, other))
        return build.select(build.or_(larger, before), a, b)
    return a(u, v, place, other, a, b), code


@intrinsic
def if_equal(_, u, v, a):
    """a where the whole numbers u and v are equal, else 0."""
    def code(context, build, _, args):
        return build.select(build.icmp_unsigned("==", *args[:2]), args[2], args[2].type(None))
    return a(u, v, a), code


@intrinsic
def two_to(_, k):
    """2**k for a whole number k in floating point: k and a bias are the bits of its exponent."""
    bits, bias, shift = {32: (ir.IntType(32), 127, 23), 64: (ir.IntType(64), 1023, 52)}[k.bitwidth]

    def code(context, build, _, args):
        exponent = build.add(build.fptosi(args[0], bits), bits(bias))
        return build.bitcast(build.shl(exponent, bits(shift)), args[0].type)
    return k(k), code


@register_jitable
def copy(a, to):
    for e in range(len(a)):
        to[e] = a[e]


@register_jitable
def aligned(n, like):
    """Zeros where a line of the cache begins, n and some more: loads across two lines take twice
    as long."""
    a = np.zeros(n + 2 * BYTES, like.dtype)
    return a[(-a.ctypes.data) % BYTES // a.itemsize:]
