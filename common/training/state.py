"""What a training remembers, as one tree."""
from collections import deque
from collections.abc import Mapping
from types import CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType

import numpy as np

from ..common.layer import held

PLAIN = (bool, int, float, str, type(None))
CLOSED = (*PLAIN, bytes, type, ModuleType, np.ndarray, np.generic)      # no generator is in these


def pack(value, name, arrays):
    """A tree as JSON has it, with {"": list} for a tuple and {"": name} for an array, which goes
    into ``arrays``, named by its place."""
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf":
        arrays[name] = np.array(value, value.dtype.newbyteorder("="), order="C", subok=False)
        return {"": name}
    if isinstance(value, dict) and all(isinstance(key, str) and key for key in value):
        return {key: pack(item, f"{name}.{key}", arrays) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [pack(item, f"{name}.{i}", arrays) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"": items}
    if isinstance(value, PLAIN):
        return value
    raise TypeError(f"{name} should be made of numbers, texts, arrays, lists, tuples and dicts "
                    f"with texts for keys, got {type(value).__name__}")


def unpack(value, arrays):
    """The tree that ``pack`` was given."""
    if isinstance(value, list):
        return [unpack(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "" not in value:
        return {key: unpack(item, arrays) for key, item in value.items()}
    if isinstance(value[""], list):
        return tuple(unpack(value[""], arrays))
    return arrays[value[""]][()]


def plain(value):
    """The attributes of an object, of those inside too, without functions and generators."""
    if isinstance(value, (dict, list, tuple)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        kept = {key: plain(item) for key, item in items if not callable(item)}
        return kept if isinstance(value, dict) else type(value)(kept.values())
    if hasattr(value, "__dict__") and not isinstance(value, np.ndarray):
        return plain({key: item for key, item in vars(value).items()
                      if not isinstance(item, np.random.Generator)})
    return value


def put_back(value, saved):
    """The ``value`` that ``plain`` was given, with what is ``saved`` in its place."""
    if isinstance(value, np.ndarray) and np.shape(saved) == value.shape:
        value[...] = saved
    elif isinstance(value, list) and isinstance(saved, list) and len(value) == len(saved):
        value[:] = map(put_back, value, saved)
    elif isinstance(saved, dict) and (isinstance(value, dict) or hasattr(value, "__dict__")):
        place = value if isinstance(value, dict) else vars(value)
        for name, item in saved.items():
            place[name] = put_back(place.get(name), item)
    else:
        return saved
    return value


def weights(model):
    """{name: parameter} of a model, named as its layers name them, else by number."""
    params, names = model.params, getattr(model, "names", ())
    if isinstance(params, Mapping):
        return {str(name): p for name, p in params.items()}
    if len(names) != len(params):
        names = [f"params.{i}" for i in range(len(params))]
    return dict(zip(names, params))


def statistics(model):
    """{name: (layer, key)} of all in ``buffers`` that is not a generator."""
    return {f"{path}.{key}".lstrip("."): (layer, key) for path, layer in held(model)
            for key, value in getattr(layer, "buffers", {}).items()
            if not isinstance(value, np.random.Generator)}


def buffers(model):
    return {name: layer.buffers[key] for name, (layer, key) in statistics(model).items()}


def recurrent(model):
    """{path: layer} of those that carry a state on."""
    return {path: layer for path, layer in held(model)
            if hasattr(layer, "reset_state") and getattr(layer, "stateful", True)}


def learned(model):
    """Copies of a model's weights and running statistics, by name."""
    kept = weights(model) | buffers(model)
    return {name: np.array(a, subok=False) for name, a in kept.items()}


def relearn(model, arrays):
    """Write what ``learned`` took back in place."""
    for name, p in weights(model).items():
        p[...] = arrays[name]
    for name, (layer, key) in statistics(model).items():
        if isinstance(layer.buffers[key], np.ndarray):
            layer.buffers[key][...] = arrays[name]
        else:
            layer.buffers[key] = type(layer.buffers[key])(arrays[name])


def generators(roots):
    """{path: generator} of each one within a dict of objects, however deep."""
    found, seen, queue = {}, {}, deque(roots.items())
    while queue:
        path, value = queue.popleft()
        if id(value) in seen:
            continue
        seen[id(value)] = value                        # kept, so that no other gets its id
        if isinstance(value, np.random.Generator):
            found[path] = value
        else:
            queue.extend((f"{path}.{name}", part) for name, part in parts(value)
                         if not isinstance(part, CLOSED))
    return found


def parts(value):
    """(name, object) for all that an object holds."""
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return list(enumerate(value))
    if isinstance(value, MethodType):
        return [("self", value.__self__), ("func", value.__func__)]
    if isinstance(value, FunctionType):
        cells = zip(value.__code__.co_freevars, value.__closure__ or ())
        return [*((name, cell.cell_contents) for name, cell in cells if cell != type(cell)()),
                ("defaults", value.__defaults__), ("kwdefaults", value.__kwdefaults__),
                *((name, value.__globals__[name]) for name in names(value.__code__)
                  if name in value.__globals__)]
    foreign = [kind for kind in type(value).__mro__ if kind.__module__[:9] != "chainrule"]
    return [*getattr(value, "__dict__", {}).items(),
            *((name, getattr(value, name, None) if isinstance(part, MemberDescriptorType) else part)
              for kind in foreign for name, part in vars(kind).items())]


def names(code):
    """The names that a function's code looks up, and that of functions inside it."""
    return [*code.co_names, *(name for inner in code.co_consts if isinstance(inner, CodeType)
                              for name in names(inner))]
