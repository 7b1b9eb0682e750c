"""Files of models: what ``save`` writes, and what ``load`` compares before it changes anything."""
import inspect
import json
import os
from pathlib import Path

import numpy as np

from ..common import checks
from ..common.files import read_arrays, write_arrays
from ..common.freezing import freeze_exactly, frozen
from ..common.layer import held, is_model, walk
from ..common.rng import state_for

# Options that count in training alone, or in how a text is read: model and file may differ in them.
FREE = ("p", "dropout", "momentum", "unbiased", "stateful", "initial_state")


def save(model, path):
    """See ``Model.save``."""
    who = f"{type(model).__name__}.save"
    path = place(who, path)
    check(model)
    arrays = {name: np.array(p, order="C") for name, p in model._parameters.named.items()}
    texts = {"layers": kinds(model), "options": options(model),
             "frozen": dict.fromkeys(frozen(model), True)}
    for name, layer, key in buffers(model):
        value = layer.buffers[key]
        if isinstance(value, np.random.Generator):
            texts[name] = value.bit_generator.state
        else:
            arrays[name] = np.array(value, order="C")
            if arrays[name].dtype.kind not in "biufc":
                expected = "be an array, a number or a numpy.random.Generator"
                raise TypeError(checks.wrong(who, f"buffer {name}", expected, type(value).__name__))
    for name, layer in stateful(model):
        state = layer.state if isinstance(layer.state, tuple) else (layer.state,)
        arrays |= {f"{name}.{i}": np.array(part, order="C") for i, part in enumerate(state)
                   if part is not None}
    try:
        if not path.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {path.parent}; make it first")
        write_arrays(path, arrays, texts)
    except OSError as error:
        raise type(error)(f"{who}: {error}") from error


def load(model, path):
    """See ``Model.load``."""
    theirs, texts = read(path, f"{type(model).__name__}.load")
    who = f"{path} does not fit this {type(model).__name__}:"
    named = model._parameters.named
    texts.pop("trained", None)  # a note in the files of load_pretrained
    compare(f"{who} layer", kinds(model), texts.pop("layers"))
    compare(who, options(model), texts.pop("options"))
    still = texts.pop("frozen", None)  # not in older files
    check(model)
    states = [(layer, state_of(who, name, layer, theirs)) for name, layer in stateful(model)]
    kept = {name: (layer, key) for name, layer, key in buffers(model)}
    mine = named | {name: layer.buffers[key] for name, (layer, key) in kept.items()}
    for name in theirs.keys() & texts.keys():
        raise ValueError(f"{who} {name} stands in the file twice, as an array and as text")
    theirs |= texts  # what is left of these is the states of generators
    compare(who, *({name: in_words(a) for name, a in values.items()} for values in (mine, theirs)))
    news = {name: restored(who, name, value, theirs[name]) for name, value in mine.items()}
    # All has been read and checked: from here on nothing can fail.
    for name, value in mine.items():
        if isinstance(value, np.random.Generator):
            value.bit_generator.state = news[name]
        elif isinstance(value, np.ndarray):
            value[...] = news[name]
        else:
            layer, key = kept[name]
            layer.buffers[key] = news[name]
    for layer, state in states:
        layer.state = state
    if still is not None:
        freeze_exactly(model, still)


def place(who, path):
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise TypeError(checks.wrong(who, "path", "be a str or a Path", checks.text(path)))
    if "\0" in os.fspath(path):
        raise ValueError(checks.wrong(who, "path", "be the name of a file", checks.text(path)))
    return Path(path)


def check(model):
    """RuntimeError if a model here has other ``params`` than its layers."""
    for layer in walk(model):
        if is_model(layer):
            layer._parameters.check(layer, ("params",))


def numbered(model):
    """(number, layer) for each layer: '3.0' is the first of the model that is layer 3, '3.norm'
    what a user's own layer 3 holds as ``norm``."""
    return ((number, layer) for number, layer in held(model) if not is_model(layer))


def predictive(model):
    """``numbered`` without what leads to the loss alone."""
    way = set(map(id, model.predictive_layers()))
    return ((number, layer) for number, layer in numbered(model)
            if id(model.layers[int(number.partition(".")[0])]) in way)


def kinds(model):
    return {number: type(layer).__name__ for number, layer in predictive(model)}


def options(model):
    """{name: value} of the layers' constructor arguments kept under their own names, as JSON gives
    them back."""
    found = {f"{number}.{name}": vars(layer)[name] for number, layer in predictive(model)
             for name in inspect.signature(type(layer).__init__).parameters
             if name not in FREE and name in getattr(layer, "__dict__", ())}
    return json.loads(json.dumps({name: value for name, value in found.items() if plain(value)}))


def plain(value):
    """Whether it is a number, a text, True, False, None, or a list of such."""
    if isinstance(value, (list, tuple)):
        return all(map(plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def stateful(model):
    return [(f"{number}.state", layer) for number, layer in numbered(model)
            if getattr(layer, "stateful", False) and hasattr(layer, "reset_state")]


def buffers(model):
    return ((f"{number}.{key}", layer, key) for number, layer in numbered(model)
            for key in getattr(layer, "buffers", ()))


def read(path, who):
    """Arrays and texts of a file that ``save`` wrote, as two dicts."""
    arrays, made = read_arrays(who, place(who, path), "save")
    if not isinstance(made, dict) or not {"layers", "options"} <= made.keys() or \
            not all(isinstance(part, dict) for part in made.values()):
        raise ValueError(f"{who}: {path} should be a file that save wrote, with layers and options "
                         "(what Checkpoint wrote is read by trainer.resume)")
    return arrays, made


def fitting(who, name, p, saved):
    """A parameter's new values, in its dtype, checked to be finite numbers."""
    if saved.dtype.kind not in "fiu":
        raise ValueError(f"{who} {name} is {p.dtype} in the model, {saved.dtype} in the file")
    with np.errstate(over="ignore"):
        values = saved.astype(p.dtype)
    if not np.isfinite(values).all():
        reason = ("NaN or infinite numbers" if not np.isfinite(saved).all()
                  else f"numbers too large for {p.dtype}")
        raise ValueError(f"{who} {name} holds {reason} in the file")
    return values


def state_of(who, name, layer, theirs):
    """The state that a recurrent layer carried, taken out of ``theirs``, or None."""
    n, H = len(layer.state_names), len(layer.params[1])
    parts = [theirs.pop(f"{name}.{i}") for i in range(n) if f"{name}.{i}" in theirs]
    if not parts:
        return None
    shapes = [part.shape for part in parts]
    if len(parts) != n or len(set(shapes)) > 1 or parts[0].ndim != 2 or shapes[0][1] != H:
        raise ValueError(f"{who} {name} should be {n} arrays (N, {H}), the file has {shapes}")
    parts = tuple(fitting(who, name, layer.params[1], part) for part in parts)
    return parts[0] if n == 1 else parts


def compare(who, mine, theirs):
    for name in mine | theirs:
        here, there = mine.get(name, "missing"), theirs.get(name, "missing")
        if here != there:
            raise ValueError(f"{who} {name} is {here} in the model, {there} in the file")


def in_words(value):
    """An array, a generator or a generator's state, as ``load`` compares it."""
    if isinstance(value, np.random.Generator):
        value = value.bit_generator.state
    if isinstance(value, dict):
        return f"a {value.get('bit_generator')} generator"
    return f"an array of shape {np.shape(value)}"


def restored(who, name, value, saved):
    """The saved value of an array, a number or a generator, checked to fit."""
    if isinstance(value, np.random.Generator):
        return state_for(who, name, value, saved)
    if not isinstance(value, np.ndarray):
        return type(value)(saved.tolist())
    if value.dtype.kind == "f":
        return fitting(who, name, value, saved)
    if saved.dtype != value.dtype:
        raise ValueError(f"{who} {name} is {value.dtype} in the model, {saved.dtype} in the file")
    return saved
