"""What data there is, by name."""
from collections.abc import Callable
from typing import Any, NamedTuple

from ..common import checks
from .download import Published
from .images import (
    CIFAR10_FILE,
    FASHION_FILES,
    MNIST_FILES,
    load_cifar10,
    load_digits,
    load_fashion_mnist,
    load_mnist,
)
from .text import PTB_FILES, load_ptb, load_python_docs


class Entry(NamedTuple):
    """A data set: what it is, its loader, its published files."""
    what: str
    load: Callable[..., Any]
    files: tuple[Published, ...] = ()
    classes: tuple[str, ...] = ()


DIGITS = tuple("0123456789")
CATALOGUE = {
    "digits": Entry("1,797 handwritten digits of 8 x 8 pixels", load_digits, classes=DIGITS),
    "mnist": Entry("70,000 handwritten digits of 28 x 28 pixels", load_mnist,
                   sum(MNIST_FILES.values(), ()), DIGITS),
    "fashion-mnist": Entry("70,000 photographs of clothes, 28 x 28 pixels", load_fashion_mnist,
                           sum(FASHION_FILES.values(), ()),
                           ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                            "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")),
    "cifar10": Entry("60,000 colour photographs of 32 x 32 pixels", load_cifar10, (CIFAR10_FILE,),
                     ("airplane", "automobile", "bird", "cat", "deer",
                      "dog", "frog", "horse", "ship", "truck")),
    "ptb": Entry("the Penn Treebank, 1 million words of newspaper text (licensed)", load_ptb,
                 tuple(PTB_FILES.values())),
    "python-docs": Entry("the reference of the Python language, English prose", load_python_docs),
}


def class_names(name: str) -> tuple[str, ...]:
    """The names of a data set's classes, in the order of their labels.

    Raises ValueError for a name other than "digits", "mnist", "fashion-mnist" and "cifar10".

    >>> class_names("cifar10")[6]
    'frog'
    """
    labelled = {key: entry for key, entry in CATALOGUE.items() if entry.classes}
    return labelled[checks.one_of("class_names", "name", name, tuple(labelled))].classes
