"""Make and check datasets/data/digits.npz from scikit-learn's copy: python tests/make_digits.py

Needs scikit-learn, which is why the file itself is in the repository.
"""
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

PATH = Path(__file__).parents[1] / "datasets" / "data" / "digits.npz"


def main():
    theirs = load_digits()
    np.savez_compressed(PATH, images=theirs.images.astype(np.uint8), labels=theirs.target.astype(np.uint8))
    with np.load(PATH) as file:
        images, labels = file["images"], file["labels"]
    if not (np.array_equal(images, theirs.images) and np.array_equal(labels, theirs.target)):
        raise SystemExit(f"{PATH} differs from scikit-learn's copy")
    print(f"{PATH}: {len(images)} images, {PATH.stat().st_size:,} bytes, equal to scikit-learn's copy")


if __name__ == "__main__":
    main()
