"""A copy of any object in which every float array is float64, and arrays that shared memory share
it again."""
import copy
import io
import re
import types

import numpy as np

from ..common.sharing import extent

ATOMS = (str, bytes, int, float, complex, bool, type(None), type, types.ModuleType,
         types.FunctionType, types.BuiltinFunctionType, np.random.Generator, np.random.RandomState,
         np.generic, np.dtype)


def children(o):
    """(key, object) of all that an object holds: the entries of a collection, else attributes."""
    if isinstance(o, dict):
        return list(o.items())
    if isinstance(o, (list, tuple, set, frozenset)):
        return list(enumerate(o))
    if isinstance(o, types.MethodType):
        return [("__self__", o.__self__)]
    return [*getattr(o, "__dict__", {}).items(),
            *((name, getattr(o, name)) for c in type(o).__mro__ for name in slots(c)
              if hasattr(o, name))]


def reachable(*objects):
    """Every object that can be reached through attributes, lists, tuples, dicts and sets, each
    once."""
    seen, stack = {}, list(objects)
    while stack:
        o = stack.pop()
        if id(o) not in seen and not isinstance(o, ATOMS):
            seen[id(o)] = o  # kept, so that no id is used twice
            yield o
            stack.extend(inner for _, inner in children(o))


def places(root):
    """(path, text, object) of all that ``root`` holds, the nearest first: the keys and names that
    lead there, and how Python says it, ``blocks[0].norm``. Arrays wherever they are, what holds
    others once."""
    seen, queue = {}, [((), "", root)]
    for path, text, o in queue:
        if isinstance(o, (*ATOMS, np.ndarray)):
            yield path, text, o
        elif id(o) not in seen:
            seen[id(o)] = o
            yield path, text, o
            entry = isinstance(o, (dict, list, tuple))
            queue += [((*path, key), f"{text}[{key!r}]" if entry else f"{text}.{key}".lstrip("."),
                       inner) for key, inner in children(o)]


def paths(root):
    """{id: where it is found} of all that ``root`` holds, but for arrays and numbers."""
    return {id(o): text for _, text, o in places(root) if not isinstance(o, (*ATOMS, np.ndarray))}


def spoken(path):
    """A path as it is said of a chain: layer 2, the loss; any other as it is."""
    if path == "loss":
        return "the loss"
    return re.sub(r"^layers\[(\d+)\]$", r"layer \1", path)


def slots(cls):
    names = cls.__dict__.get("__slots__", ())
    return (names,) if isinstance(names, str) else names


class Recording(np.ndarray):
    """An array that keeps what somebody tried to write into it, where the shape did not fit,
    instead of raising."""
    attempt = None

    def __setitem__(self, key, value):
        self.attempt = None
        try:
            super().__setitem__(key, value)
        except ValueError:
            self.attempt = np.array(value, np.float64)

    def __iadd__(self, value):  # type: ignore[misc]
        try:
            return super().__iadd__(value)
        except ValueError:
            self.attempt = np.array(value, np.float64)
            return self


def float64_copy(*objects, cast=True, recording=(), dtype=np.float64):
    """Deep copies of the objects, as a tuple; float arrays in them become float64, or ``dtype``
    (``cast=False``: stay as they are), those whose id is in ``recording`` a Recording.

    Arrays are recognised by memory, so ``self.W``, ``params[0]``, a transposed view and an array
    that two layers hold stay one array in the copy.
    """
    found = [a for a in reachable(*objects) if isinstance(a, np.ndarray)
             and a.dtype.kind in "fiubc"]
    memo, goal = {id(o): o for o in reachable(*objects) if not copyable(o)}, np.dtype(dtype)
    # arrays whose memory overlaps, with the block's extent
    blocks = []
    for a in sorted((a for a in found if a.size), key=extent):
        low, high = extent(a)
        if blocks and low < blocks[-1][1] and a.dtype == blocks[-1][2][0].dtype:
            blocks[-1] = (blocks[-1][0], max(high, blocks[-1][1]), blocks[-1][2] + [a])
        else:
            blocks.append((low, high, [a]))
    for low, high, members in blocks:
        old = members[0].dtype
        wide = goal if cast and old.kind == "f" else old
        memory = np.zeros((high - low) // old.itemsize + 1, wide)
        for a in members:
            if any(step % a.itemsize for step in a.strides) or (extent(a)[0] - low) % a.itemsize:
                continue  # a field of a record: copied alone
            start = (a.__array_interface__["data"][0] - low) // a.itemsize
            strides = tuple(step // a.itemsize * wide.itemsize for step in a.strides)
            new = np.ndarray(a.shape, wide, memory, start * wide.itemsize, strides)
            new[...] = a
            memo[id(a)] = (new.view(Recording) if id(a) in recording else new
                           if type(a) is np.ndarray else dressed(new, a))
    for a in found:
        if id(a) not in memo:
            memo[id(a)] = np.array(a, goal if cast and a.dtype.kind == "f" else a.dtype, subok=True)
    return tuple(copy.deepcopy(o, memo) for o in objects)


def copyable(o):
    """False for a lock, an open file, a generator: a copy holds the same one."""
    try:
        return (hasattr(o, "__dict__") and not isinstance(o, io.IOBase)
                or isinstance(o, (dict, list, tuple, set, frozenset, np.ndarray))
                or bool(o.__reduce_ex__(4)))
    except TypeError:
        return False


def dressed(new, a):
    """``new`` as an instance of a's subclass of ndarray, with a's attributes."""
    new = new.view(type(a))
    vars(new).update(copy.deepcopy(vars(a)))
    return new
