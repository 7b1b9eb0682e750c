"""What happens to the data before a network sees it."""
import math
from typing import Any

import numpy as np

from ..common import checks
from ..common.rng import generator
from ..common.types import Array, ArrayLike, Seed
from ..training.batches import samples
from ..training.data import quotas


def train_test_split(
    *arrays: ArrayLike, test_size: float = 0.2, stratify: ArrayLike | None = None, rng: Seed = None
) -> tuple[Array, ...]:
    """Set random samples aside, to judge a model on data it was not trained on.

    - ``arrays``: one or more of shape (N, ...), all split alike;
    - ``test_size``: a share between 0 and 1, which makes N_test = ceil(share · N), or N_test
      itself;
    - ``stratify``: labels (N,), usually t, so that both parts have the same shares of the classes.
      Class c with N_c samples gives q_c = N_c · N_test / N of them to the test part, rounded down;
      the samples still missing come one each from the classes with the largest remainders;
    - ``rng``: a numpy.random.Generator, a seed or None.

    Returns ``a_train, a_test, b_train, b_test, ...``: each sample is in exactly one part,
    shuffled; all are copies.

    Raises ValueError or TypeError for arrays that are empty or differ in length, for a
    ``test_size`` that leaves one part empty, and for labels where one part would lack a class.

    >>> x, t = np.arange(10), np.array([0, 1, 0, 0, 1, 0, 1, 0, 0, 1])
    >>> x_train, x_test, t_train, t_test = train_test_split(x, t, test_size=0.5, stratify=t, rng=0)
    >>> np.bincount(t_train), np.bincount(t_test)
    (array([3, 2]), array([3, 2]))
    >>> sorted([*x_train, *x_test]) == list(range(10))
    True
    """
    who, rng = "train_test_split", generator("train_test_split", rng)
    arrays = samples(who, *arrays)
    N = len(arrays[0])
    N_test = count_test(who, test_size, N)
    labels = np.zeros(N) if stratify is None else getattr(stratify, "array", stratify)
    labels = samples(who, arrays[0], stratify=labels)[1]
    if labels.dtype == object:                     # words of a Series
        labels = labels.astype(str)
    if labels.ndim > 1:
        raise ValueError(checks.wrong(who, "stratify", f"have shape ({N},)", labels.shape,
                                      "t.argmax(axis=1) makes labels of one-hot rows"))

    classes, c, N_c = np.unique(labels, return_inverse=True, return_counts=True)
    q = quotas(N_c, N_test)
    for k in np.flatnonzero((q == 0) | (q == N_c)):
        part = "training" if q[k] else "test"
        raise ValueError(checks.wrong(who, "stratify", "leave every class in both parts",
                                      f"none of the {N_c[k]} samples of class {classes[k]} in the "
                                      f"{part} one",
                                      "change test_size, merge rare classes or leave stratify out"))

    in_test = np.zeros(N, dtype=bool)
    for i, n in enumerate(q):
        in_test[rng.choice(np.flatnonzero(c == i), n, replace=False)] = True
    order = rng.permutation(N)
    train, test = order[~in_test[order]], order[in_test[order]]
    return tuple(a[part] for a in arrays for part in (train, test))


def count_test(who, test_size, N):
    """How many of N samples a ``test_size`` means, 1 to N - 1."""
    if isinstance(test_size, (float, np.floating)):
        # Rounded first: 0.07 * 100 is a little more than 7.
        N_test = math.ceil(round(float(test_size) * N, 6)) if 0 < test_size < 1 else 0
    else:
        N_test = checks.count(who, "test_size", test_size, least=-np.inf)
    if not 0 < N_test < N:
        raise ValueError(checks.wrong(who, "test_size", f"leave each part some of the {N} samples",
                                      test_size,
                                      "give a share between 0 and 1 or a number of samples"))
    return N_test


def random_shifts(images: ArrayLike, rng: Seed = None, most: int = 2) -> Array:
    """Copies of images (N, C, H, W), each moved by up to ``most`` pixels up or down and left or
    right, with 0 filling the edge.

    A shifted digit is still the same digit: a new sample for free each time it is drawn (LeCun et
    al. 1998; Krizhevsky et al. 2012 call it data augmentation).

    >>> random_shifts(np.arange(1.0, 10.0).reshape(1, 1, 3, 3), rng=3, most=1)
    array([[[[0., 4., 5.],
             [0., 7., 8.],
             [0., 0., 0.]]]])
    """
    most = checks.count("random_shifts", "most", most, least=0)
    return cut("random_shifts", images, None, most, rng, "most")


def random_flips(images: ArrayLike, rng: Seed = None) -> Array:
    """Copies of images (N, C, H, W), each mirrored left to right with probability ½: good for
    cats, bad for digits.

    >>> random_flips(np.arange(6.0).reshape(2, 1, 1, 3), rng=0)
    array([[[[0., 1., 2.]]],
           [[[5., 4., 3.]]]])
    """
    images = checks.array("random_flips", "images", images, shape=("N", "C", "H", "W"))
    flipped = generator("random_flips", rng).random(len(images)) < 0.5
    return np.where(flipped[:, None, None, None], images[..., ::-1], images)


def random_crops(
    images: ArrayLike, rng: Seed = None, size: int | tuple[int, int] | None = None,
    padding: int = 0,
) -> Array:
    """A random part of each of the images (N, C, H, W), of ``size`` (a number, or height and width;
    None: that of the images), after ``padding`` pixels of 0 were put around the image.

    ``padding=4`` is usual for CIFAR-10 (He et al. 2016), a smaller size for photographs (Krizhevsky
    et al. 2012). For ``fit(augment=...)`` options are bound as in
    ``functools.partial(random_crops, padding=4)``.

    >>> random_crops(np.arange(16.0).reshape(1, 1, 4, 4), rng=1, size=2)
    array([[[[ 5.,  6.],
             [ 9., 10.]]]])
    """
    padding = checks.count("random_crops", "padding", padding, least=0)
    if size is not None:
        size = size if isinstance(size, tuple) and len(size) == 2 else (size, size)
        for n in size:
            checks.count("random_crops", "size", n)
    return cut("random_crops", images, size, padding, rng, "padding")


def cut(who, images, size, padding, rng, name) -> Array:
    """A random part of each image; ``name``: what the caller calls its padding."""
    images = checks.array(who, "images", images, shape=("N", "C", "H", "W"))
    N, C, H, W = images.shape
    h, w = size or (H, W)
    padded = N, C, H + 2 * padding, W + 2 * padding
    checks.room(who, name, padded, images.itemsize, got=padding)
    if h > padded[2] or w > padded[3]:
        raise ValueError(checks.wrong(who, "size", f"be at most {padded[2:]}, that of the padded "
                                      "images", (h, w)))
    images = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(images, (h, w), axis=(2, 3))
    places = [[padded[2] - h + 1], [padded[3] - w + 1]]
    down, right = generator(who, rng).integers(0, places, (2, N))
    return windows[np.arange(N), :, down, right]


def merge(a: ArrayLike, b: ArrayLike, columns: Any = None) -> tuple[Array, tuple[str, ...]]:
    """The rows of two tables stacked; a column that only one of them has is NaN in the rows of the
    other.

    - a (N, D), b (M, E): numbers;
    - columns: the names of the columns of both, a pair of lists. DataFrames bring their own.

    Returns ``x, names``: x (N + M, F) float64 and the names of its columns, those of a first, then
    those that b alone has.

    Raises ValueError for names that do not fit or appear twice in one table.

    >>> x, names = merge([[1, 2]], [[3, 4], [5, 6]], columns=(["age", "size"], ["weight", "age"]))
    >>> names
    ('age', 'size', 'weight')
    >>> x
    array([[ 1.,  2., nan],
           [ 4., nan,  3.],
           [ 6., nan,  5.]])
    """
    who, tables, names = "merge", {"a": a, "b": b}, []
    if columns is None:
        columns = [getattr(table, "columns", None) for table in tables.values()]
        if any(of is None for of in columns):
            raise TypeError(checks.wrong(who, "columns", "be the names of the columns of both",
                                         None,
                                         'as in columns=(["age", "size"], ["age", "weight"])'))
    pair = checks.items(who, "columns", columns, "two lists of names")
    if len(pair) != 2:
        raise ValueError(checks.wrong(who, "columns", "be two lists of names", len(pair)))
    arrays = []
    for (name, table), given in zip(tables.items(), pair):
        (rows,) = samples(who, **{name: table})
        rows = checks.array(who, name, rows, np.float64, ("N", "D"))
        of = [str(one) for one in checks.items(who, "columns", given, "names")]
        if len(set(of)) < len(of) or len(of) != rows.shape[1]:
            raise ValueError(checks.wrong(who, f"the columns of {name}",
                                          f"be {rows.shape[1]} different names", of))
        arrays.append(rows)
        names.append(of)
    union = tuple(dict.fromkeys(names[0] + names[1]))
    x = np.full((sum(map(len, arrays)), len(union)), np.nan)
    for part, rows, of in zip(np.split(x, [len(arrays[0])]), arrays, names):
        part[:, [union.index(name) for name in of]] = rows
    return x, union
