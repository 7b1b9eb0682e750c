"""Real handwritten digits that come with the package: no download, small enough to train on in
seconds."""
from pathlib import Path

import numpy as np

from ..common.types import Pair


def load_digits() -> tuple[Pair, Pair]:
    """The 1,797 images of 8×8 pixels of the UCI Optical Recognition of Handwritten Digits data set.

    Thirteen people wrote the digits 0..9. Each bitmap of 32×32 was divided into blocks of 4×4, and
    a pixel is the number of ink dots in its block, 0..16, here divided by 16.

    Returns ``(x_train, t_train), (x_test, t_test)``, fresh arrays on each call:

    - x_train (1437, 1, 8, 8) and x_test (360, 1, 8, 8), float32, 0 for paper to 1 for ink;
    - t_train (1437,) and t_test (360,), int64, the digit.

    The split is always the same: with the images sorted by digit, every fifth is a test image, so
    each digit keeps its share there. Both parts keep the order of the source. The file does not say
    who wrote what, so the same writers are in both: the test asks about new images, not about new
    writers.

    Source: Alpaydin and Kaynak (1998), UCI Machine Learning Repository,
    https://doi.org/10.24432/C50P49, licence CC BY 4.0 (data/LICENSE-digits.md).

    >>> (x_train, t_train), (x_test, t_test) = load_digits()
    >>> x_train.shape, x_test.shape, t_train[:10]
    ((1437, 1, 8, 8), (360, 1, 8, 8), array([1, 3, 5, 6, 7, 8, 9, 0, 1, 2]))
    """
    with np.load(Path(__file__).with_name("data") / "digits.npz") as file:
        x = file["images"][:, np.newaxis].astype(np.float32) / 16
        t = file["labels"].astype(np.int64)
    test = np.zeros(len(t), dtype=bool)
    test[np.argsort(t, kind="stable")[::5]] = True
    return (x[~test], t[~test]), (x[test], t[test])
