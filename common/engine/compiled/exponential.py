"""The logistic function as a loop of vectors."""
import math

import numpy as np

from . import Loop
from .lanes import two_to

FAR = {4: 89.0, 8: 710.0}            # exp of it is infinite, in floats of so many bytes
TERMS = [1 / math.factorial(n) for n in range(14)]


def sigmoid(x, y):
    numbers = -40, FAR[x.itemsize], math.log(2), 1 / math.log(2), 0.5
    one_each(x, y, tuple(map(x.dtype.type, numbers)), tuple(map(x.dtype.type, TERMS)))


@Loop
def one_each(x, y, numbers, c):
    """1 / (1 + exp a), a = -x; exp a = 2^k exp r with |r| < 0.35, and exp r = Σ r^n / n!, eight
    terms for 24 bits. Below -40 exp a is nothing beside 1."""
    low, far, log2, inverse, half = numbers
    for i in range(len(x)):
        a = max(min(-x[i], far), low) if x[i] == x[i] else far
        k = np.floor(a * inverse + half)
        r, p = a - k * log2, c[7]
        if x.itemsize == 8:
            p = (((((c[13] * r + c[12]) * r + c[11]) * r + c[10]) * r + c[9]) * r + c[8]) * r + p
        p = ((((((p * r + c[6]) * r + c[5]) * r + c[4]) * r + c[3]) * r + c[2]) * r + c[1]) * r
        y[i] = c[0] / (c[0] + (p + c[0]) * two_to(k)) if x[i] == x[i] else x[i]
