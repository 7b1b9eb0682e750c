"""A pool of threads, for layers that the threads of BLAS cannot speed up.

BLAS spreads a large matrix product over all processors. A convolution is many small ones, with
windows cut and gradients added back in between. ``spread(job, count, work)`` gives each thread a
share of the images instead, with all that is to be done for them: it stays in one cache.

There are as many threads as BLAS may use (``OPENBLAS_NUM_THREADS``, the package threadpoolctl; else
one for each processor). Small jobs run in the caller: waking a thread would cost more.

BLAS's threads wait awake, some 25 ms, for the next product, each on a processor where one of these
should run, or another program: beside two busy processes a step of a Transformer took ten times
longer with them (tests/benchmarks/threads.py). So BLAS is kept to one thread for whole passes
through a model, unless it is so small that no product would be shared out, and ``product``
(products.py) spreads the large ones over this pool.
"""
import os
import threading
from contextvars import copy_context
from functools import cache
from itertools import pairwise
from queue import SimpleQueue

from threadpoolctl import ThreadpoolController

SMALL = 1 << 10        # entries of a weight: no product with a smaller one is worth a thread
WORTH = 1 << 22        # multiplications, some 0.2 ms, that each thread should have at least
LATE = 1 << 21         # those that are done elsewhere before a thread that slept begins

# BLAS is kept to one thread; our threads are at work
limiting, working = threading.Lock(), threading.Lock()
allowed = 0            # while ``limiting``: how many threads BLAS may use otherwise
helpers: list[SimpleQueue] = []      # for each thread of the pool, the queue of its jobs


def spread(job, count, work):
    """[job(part), ...] for slices ``part`` that cover range(count), each in a thread of its own if
    that pays.

    ``work``: how many multiplications there are in all. Jobs may not write to the same place. Their
    errors are raised here.

    >>> x = range(10)
    >>> spread(lambda part: sum(x[part]), 10, work=10)
    [45]
    """
    n = min(count, work // WORTH)
    n = min(n, threads()) if n > 1 else 1
    if n == 1:
        return [job(slice(0, count))]
    # the first part is the caller's, which begins at once: it is longer
    share = count * (1 - LATE / work) / n
    parts = [slice(*ends)
             for ends in pairwise(sorted({0, *(round(count - share * i) for i in range(n))}))]
    # called by a job, or by a second thread of the user's
    if not working.acquire(blocking=False):
        return [job(part) for part in parts]
    try:
        with one_thread():
            return in_threads(job, parts)
    finally:
        working.release()


def in_threads(job, parts):
    """Not by the standard library's pool: its locks are taken in Python, and one that Ctrl-C leaves
    taken blocks for ever. These queues are written in C. The threads are daemons, because one of
    the user's may go on when the main one is at its end."""
    while len(helpers) < len(parts) - 1:
        queue = SimpleQueue()
        try:
            threading.Thread(target=help_out, args=(queue,), daemon=True, name="chainrule").start()
        except RuntimeError:                    # no thread can start, in a browser for example
            return [job(part) for part in parts]
        helpers.append(queue)
    results, answers, asked = [None] * len(parts), SimpleQueue(), 0
    try:
        for i, helper in zip(range(1, len(parts)), helpers):
            # with the caller's np.errstate, for example
            helper.put((answers, i, copy_context(), job, parts[i]))
            asked += 1
        results[0] = job(parts[0])
    finally:
        failed = None
        for _ in range(asked):
            i, results[i], error = answers.get()
            failed = failed or error
    if failed is not None:
        raise failed
    return results


def help_out(queue):
    while True:
        answers, i, context, job, part = queue.get()
        try:
            if blas():
                # a BLAS may count threads for each calling thread by itself
                blas().set_num_threads(1)
            answer = i, context.run(job, part), None
        except BaseException as error:
            answer = i, None, error
        del context, job, part                              # not to hold arrays while waiting
        answers.put(answer)
        del answers, answer


class one_thread:
    """``with one_thread():`` in this block BLAS keeps to one thread."""

    def __enter__(self):
        global allowed
        self.limits = blas() is not None and limiting.acquire(blocking=False)
        try:
            if self.limits:
                allowed = blas().num_threads
                if allowed > 1:
                    blas().set_num_threads(1)
        except BaseException:                               # Ctrl-C
            self.__exit__()
            raise

    def __exit__(self, *_):
        global allowed
        try:
            if self.limits and allowed > 1:
                blas().set_num_threads(allowed)
        finally:
            if self.limits:
                allowed = 0
                limiting.release()


def threads():
    return min(allowed or (blas().num_threads if blas() else processors()), processors())


@cache
def processors():
    """How many of them this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@cache
def blas():
    """NumPy's BLAS, whose number of threads can be read and set; None where threadpoolctl does not
    know it."""
    found = [library for library in ThreadpoolController().lib_controllers
             if library.user_api == "blas" and library.num_threads]
    return min(found, key=lambda library: "numpy" not in library.filepath, default=None)


def after_fork():
    """A forked process has a copy of all this, but not the threads."""
    global limiting, working, allowed
    if allowed:
        blas().set_num_threads(allowed)
    limiting, working, allowed = threading.Lock(), threading.Lock(), 0
    helpers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)
