"""How the tests state an error: its class, and the parts of its sentence that are not prose."""
import contextlib
import re

import pytest

# No part begins or ends in the middle of a word or a number.
ANY_WORDS = r"(?:^|(?!\.?\w)).*(?:(?<![-.\w])|$)"


@contextlib.contextmanager
def refused(error, sentence):
    """``sentence`` says who was called, which argument, what was expected, what came; … stands for
    any words.

    >>> with refused(ValueError, "Affine: x … (N, ..., 2) … (3, 4)…"):
    ...     raise ValueError("Affine: x should have shape (N, ..., 2), got (3, 4); try x.T")
    """
    __tracebackhide__ = True
    with pytest.raises(error) as caught:
        yield caught
    pattern = ANY_WORDS.join(map(re.escape, re.split(r"\s*…\s*", sentence)))
    if not re.fullmatch(pattern, str(caught.value), re.DOTALL):
        pytest.fail(f"expected: {sentence}\n     got: {caught.value}")
