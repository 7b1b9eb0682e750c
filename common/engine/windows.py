"""Windows over images: where they lie."""
from .. import checks


def pair(who, name, value, least=1):
    """``value`` as (height, width): an int stands for both."""
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2:
        raise ValueError(
            checks.wrong(who, name, "be one number or a pair (height, width)", repr(value)))
    return tuple(checks.count(who, name, n, least) for n in both)


def places(who, shape, size, stride, pads, dilation=(1, 1)):
    """How many places (OH, OW) a window has in images (N, C, H, W), or (OT,) in (N, C, T): OH = (H
    + padding - (KH - 1) dilation - 1) // stride + 1."""
    spans = [(k - 1) * d + 1 for k, d in zip(size, dilation)]
    padded = [n + sum(p) for n, p in zip(shape[2:], pads)]
    if any(span > n for span, n in zip(spans, padded)):
        around = " with its padding" if any(map(sum, pads)) else ""
        window, image = (" x ".join(map(str, sizes)) for sizes in (spans, padded))
        raise ValueError(
            checks.wrong(who, "x", f"be at least as large as the window, {window}",
                         f"{image}{around}", "make the window smaller or padding larger"))
    return tuple((n - span) // s + 1 for n, span, s in zip(padded, spans, stride))


def same_pads(shape, size, stride, dilation):
    """The padding of each axis, (before, after), for as many places as there are pixels, over the
    stride and rounded up."""
    pads = []
    for n, k, s, d in zip(shape, size, stride, dilation):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        pads.append((total // 2, total - total // 2))
    return tuple(pads)


def taps(count, size, stride=1, dilation=1):
    """For each of the ``size`` positions inside a window, the slice of what lies there in all
    ``count`` windows of an axis.

    >>> taps(3, 2, stride=2)
    [slice(0, 5, 2), slice(1, 6, 2)]
    """
    return [slice(k * dilation, k * dilation + (count - 1) * stride + 1, stride)
            for k in range(size)]
