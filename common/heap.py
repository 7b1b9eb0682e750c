"""Freed memory that is kept: a training step frees arrays which the next one needs again.

glibc returns freed memory at the end of its heap to the system as soon as it is twice the largest
block that the process has mapped and freed so far, and fetches it again with one page fault for
every 4 KiB: a fifth of a Transformer's training step. Freeing a block of 32 MiB, the largest from
which it learns, never touched and hence never there, teaches it to keep up to 64 MiB.
"""
import numpy as np

LARGEST = 32 * 2**20 - 2**16       # bytes; a page or two of the 32 MiB are malloc's own


def keep_freed_memory():
    np.empty(LARGEST, np.uint8)
