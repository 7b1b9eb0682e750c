"""Adam where a gradient is zero except in some rows: the same steps, without reading or decaying
what did not change.

In the paper's form m and v decay everywhere in every step. Here stand m / beta1^k and r = √(v /
beta2^k), in which nothing decays: instead of making everything there smaller, a step makes the new
gradient larger. So they change only in the rows that a gradient names, and the step itself, which
moves every row, reads two arrays and writes one. k counts the steps since the powers were last
multiplied in, before they get small. Weighted sums stand for means: m̂ = m / (1 + beta1 + ... +
beta1^(t-1)), which is the paper's m / (1 - beta1^t).

``rule`` is an Adam: it has beta1, beta2, eps and the number of the step, an AdamW weight_decay too.
The docstrings speak of the paper's m and v.
"""
import math

import numpy as np

from . import compiled

NAMES = "m", "r"
RULES = "Adam.rule", "AdamW.rule"


def fits(optimizer):
    """Whether the optimizer's rule is Adam's or AdamW's, and not a subclass's own; without amsgrad,
    since v_max is not a decayed sum."""
    rule = type(optimizer).rule
    return (rule.__module__.startswith("chainrule.") and rule.__qualname__ in RULES
            and not optimizer.amsgrad)


def learn(rule, g, m, r):
    """``m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g * g``, in some rows.

    In the others g is 0, and their decay costs nothing: with drift, a step on a table of 10,000
    word vectors takes two thirds of the time.
    """
    power1, power2, _ = powers(rule, rule.step)
    m += g / power1
    r *= r
    r += g * g / power2
    np.sqrt(r, out=r)


def drift(rule, lr, p, m, r):
    """``p -= lr * m / (1 - beta1 ** t) / (np.sqrt(v / (1 - beta2 ** t)) + eps)``, in all rows,
    after the step's learn; with weight decay, ``p *= 1 - lr * weight_decay`` before that.

    With √v at hand, and in one temporary array.
    """
    if hasattr(rule, "weight_decay"):
        p *= 1 - lr * rule.weight_decay
    power1, power2, last = powers(rule, rule.step)
    # over the sums of the weights, as geometric series: m̂ = mean · m, √v̂ = root · r
    share1, share2 = ((1 - beta) / (1 - beta ** rule.step) for beta in (rule.beta1, rule.beta2))
    mean, root = power1 * share1, math.sqrt(power2 * share2)
    if compiled.takes(p):
        from .compiled.optimizers import drift, run
        run(drift, (p, m, r), lr * mean / root, rule.eps / root)
    else:
        move = r + rule.eps / root
        np.divide(m, move, out=move)
        move *= lr * mean / root
        p -= move
    if last:
        m *= power1 * rule.beta1
        r *= math.sqrt(power2 * rule.beta2)


def shown(rule, m, r):
    """``m, v``, the paper's, from what is kept between two steps; 0 where its beta is 0, which no
    later step reads."""
    scale1, scale2 = scales(rule)
    return m * scale1, r * r * scale2


def kept(rule, m, v):
    """``m, r``, what is kept, from the paper's m and v: the inverse of shown."""
    scale1, scale2 = scales(rule)
    return m / scale1, np.sqrt(v / scale2)


def powers(rule, step):
    """``beta1 ** k, beta2 ** k`` of a step, and whether to multiply them in after it: before the
    smaller one is below a tenth."""
    smaller = min(rule.beta1, rule.beta2)
    span = max(1, int(math.log(0.1, smaller))) if smaller else 1
    k = (step - 1) % span
    return rule.beta1 ** k, rule.beta2 ** k, k == span - 1


def scales(rule):
    """The paper's m and v over what is kept of them between two steps, where the next step's powers
    already hold."""
    power1, power2, _ = powers(rule, rule.step + 1)
    return (power1 / (rule.beta1 or 1) * (1 - rule.beta1),
            power2 / (rule.beta2 or 1) * (1 - rule.beta2))
