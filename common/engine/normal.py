"""The normal distribution, and the curve near it that tanh gives: what GELU is made of.

W. J. Cody 1969, Rational Chebyshev approximations for the error function: the coefficients, highest
power first.
"""
import math

import numpy as np

from .pieces import pieces

NEAR = ((0.185777706184603153, 3.16112374387056560, 113.864154151050156, 377.485237685302021,
         3209.37758913846947),
        (1.0, 23.6012909523441209, 244.024637934444173, 1282.61652607737228, 2844.23683343917062))
FAR = ((2.15311535474403846e-8, 0.564188496988670089, 8.88314979438837594, 66.1191906371416295,
        298.635138197400131, 881.952221241769090, 1712.04761263407058, 2051.07837782607147,
        1230.33935479799725),
       (1.0, 15.7449261107098347, 117.693950891312499, 537.181101862009858, 1621.38957456669019,
        3290.79923573345963, 4362.61909014324716, 3439.36767414372164, 1230.33935480374942))
SCALE, CUBIC = math.sqrt(2 / math.pi), 0.044715


def erf(x):
    """``np.vectorize(math.erf)(x)``, in the dtype of x, to 5e-16 in float64 and 4e-7 in float32.

    Two quotients of polynomials: x · P(x²) / Q(x²) below ½, 1 - exp(-x²) P(x) / Q(x) above, and
    from 6 on 1 to the last bit. In pieces that stay in the cache, eight times faster.
    """
    y = np.empty_like(x)
    for part, out in pieces(x, y):
        z = np.minimum(np.abs(part), 6)
        square = z * z
        near = z * quotient(NEAR, square)
        far = 1 - np.exp(-square) * quotient(FAR, z)
        np.copysign(np.where(z < 0.5, near, far), part, out=out)
    return y


def quotient(coefficients, x):
    """``np.polyval(P, x) / np.polyval(Q, x)`` for coefficients (P, Q), in two new arrays."""
    P, Q = (polynomial(c, x) for c in coefficients)
    P /= Q
    return P


def polynomial(c, x):
    """``np.polyval(c, x)``, in one new array of the dtype of x."""
    y = c[0] * x
    for a in c[1:-1]:
        y += a
        y *= x
    y += c[-1]
    return y


def cdf(x):
    """``0.5 * (1 + erf(x / np.sqrt(2)))``: P(Z ≤ x) for a standard normal Z."""
    y = erf(x * math.sqrt(0.5))
    y += 1
    y *= 0.5
    return y


def density(x):
    """``np.exp(-x * x / 2) / np.sqrt(2 * np.pi)``: the derivative of cdf."""
    return np.exp(-0.5 * x * x) * (SCALE / 2)


def tanh_cdf(x):
    """``0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3)))``, within 0.0003 of cdf.

    One array takes every step, here and in tanh_density: with a new one for each operator GELU
    would be the slowest layer of a Transformer.
    """
    y = x * x
    y *= SCALE * CUBIC
    y += SCALE
    y *= x
    y = np.tanh(y)
    y += 1
    y *= 0.5
    return y


def tanh_density(x, y):
    """``2 * y * (1 - y) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x ** 2)``: the derivative of y =
    tanh_cdf(x). In pieces, because the second temporary is then small."""
    slopes = np.empty_like(x)
    for part, P, slope in pieces(x, y, slopes):
        np.multiply(part, part, out=slope)
        slope *= 6 * SCALE * CUBIC
        slope += 2 * SCALE
        rest = 1 - P
        rest *= P
        slope *= rest
    return slopes
