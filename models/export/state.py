"""Weights in PyTorch's names and layout, and back."""

import math
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ... import layers as L
from ...common import checks
from ...common.layer import held, is_model
from ...common.sharing import relation
from ...common.types import Array, PathLike
from ..saving import fitting, place
from ..sharing import names_of
from .registry import LAYOUT, known, named

WHO = "load_torch_state"
# PyTorch's name: ours. W.T is transposed, "bq bk bv" stand below each other, +b is zeros that are
# added to b on the way back, 0 is a number that nobody needs.
WEIGHT = {"weight": "W", "bias": "b"}
CELL = {"weight_ih": "Wx.T", "weight_hh": "Wh.T", "bias_ih": "b", "bias_hh": "+b"}
GRU_CELL = {**CELL, "bias_ih": "bx", "bias_hh": "bh"}
SCALE = {"weight": "gamma", "bias": "beta"}


def sequence(cell):
    return {f"{name}_l0": ours for name, ours in cell.items()}


LAYOUT.update({
    L.Affine: {"weight": "W.T", "bias": "b"},
    L.MatMul: {"weight": "W.T"},
    **dict.fromkeys((L.Convolution, L.Convolution1D, L.TransposedConvolution), WEIGHT),
    **dict.fromkeys((L.Embedding, L.EmbeddingDot, L.PositionalEncoding), {"weight": "W"}),
    **dict.fromkeys((L.LayerNorm, L.GroupNorm), SCALE),
    L.BatchNorm: {**SCALE, "running_mean": "running_mean", "running_var": "running_var",
                "num_batches_tracked": "0"},
    L.RNNCell: CELL, L.LSTMCell: CELL, L.GRUCell: GRU_CELL,
    L.RNN: sequence(CELL), L.LSTM: sequence(CELL), L.GRU: sequence(GRU_CELL),
    L.MultiHeadAttention: {
        "in_proj_weight": "Wq.T Wk.T Wv.T", "in_proj_bias": "bq bk bv",
        "out_proj.weight": "Wo.T", "out_proj.bias": "bo"},
    L.Bidirectional: {},  # those of its halves: layout_of
})


def layout_of(layer):
    """``{PyTorch's name: ours}`` of what a layer has; of a layer of a user's own its own names."""
    layout, there = known(layer, LAYOUT), arrays_of(layer)
    if layout is None:
        return {name: name for name in there}
    if isinstance(layer, L.Bidirectional):  # Wx_reverse.T is weight_ih_l0_reverse
        back = {f"{name}_reverse": re.sub(r"\w+", r"\g<0>_reverse", ours, count=1)
                for name, ours in layout_of(layer.back).items()}
        return layout_of(layer.ahead) | back
    return {name: ours for name, ours in layout.items()
            if ours == "0" or terms(ours)[0][0] in there}


def terms(text):
    """(our name, whether it is transposed) of each part."""
    return [(part.removeprefix("+").removesuffix(".T"), part.endswith(".T"))
            for part in text.split()]


def arrays_of(layer):
    kept = {name: a for name, a in getattr(layer, "buffers", {}).items()
            if isinstance(a, np.ndarray)}
    return dict(zip(names_of(layer), getattr(layer, "params", ()))) | kept


def leaves(layer, path=""):
    """(number, layer, its own arrays) for each layer with arrays; a user's own comes after those
    that it holds."""
    if is_model(layer):
        for i, inner in enumerate(layer.layers):
            yield from leaves(inner, f"{path}.{i}" if path else str(i))
        return
    mine = arrays_of(layer)
    theirs = []  # the arrays of layers inside
    done = []
    if known(layer, LAYOUT) is None:
        for inside, inner in list(held(layer, path))[1:]:
            if not any(inside.startswith(f"{there}.") for there in done):
                done.append(inside)
                yield from leaves(inner, inside)
                theirs += arrays_of(inner).values()
    mine = {name: a for name, a in mine.items() if not any(a is b for b in theirs)}
    if mine:
        yield path, layer, mine


def translated(layer, arrays):
    made = {}
    for name, ours in layout_of(layer).items():
        if ours == "0":
            made[name] = np.array(0)
        elif all(mine in arrays for mine, _ in terms(ours)):
            parts = [arrays[mine].T if turned else arrays[mine] for mine, turned in terms(ours)]
            # in "C" order, which safetensors does not look at
            joined = np.array(np.concatenate(parts) if len(parts) > 1 else parts[0], order="C")
            made[name] = np.zeros_like(joined) if ours.startswith("+") else joined
    return made


def to_torch_state(model: Any) -> dict[str, Array]:
    """The weights and running statistics of a model, or of a layer, in the names and layouts of
    ``torch.nn.Sequential`` and its modules.

    Keys are the layer's number and the name of the array in PyTorch's module: ``"0.weight"``,
    ``"3.running_mean"``; of models inside ``"3.0.weight"``. An array that layers share comes once
    for each; layers of your own keep their names. The arrays are copies in the dtype of the model.
    Random generators, recurrent states and what is frozen are left out.

    - Affine, MatMul: W transposed (nn.Linear);
    - RNN, LSTM and their cells: Wx, Wh transposed; b is ``bias_ih``, with zeros as ``bias_hh``;
    - MultiHeadAttention: Wq, Wk, Wv transposed and stacked as ``in_proj_weight``;
    - BatchNorm: ``num_batches_tracked`` is 0;
    - convolutions, norms, Embedding: as they are.

    ``safetensors.numpy.save_file(state, path)`` writes a file that ``safetensors.torch.load_file``
    reads, for ``module.load_state_dict``.

    >>> from chainrule.models import LeNet
    >>> state = to_torch_state(LeNet(rng=0))
    >>> list(state)[:4], state["7.weight"].shape
    (['0.weight', '0.bias', '3.weight', '3.bias'], (120, 400))
    """
    return whole(parts_of("to_torch_state", model))


class Entry(NamedTuple):
    """A layer with arrays: its number, also with a point behind, and its arrays under our names
    and, copied, under PyTorch's."""
    path: str
    start: str
    layer: Any
    ours: dict[str, Any]
    theirs: dict[str, Array]


def entries(model):
    for path, layer, arrays in leaves(model):
        yield Entry(path, f"{path}." if path else "", layer, arrays, translated(layer, arrays))


def parts_of(who, model):
    if not hasattr(model, "params") or isinstance(model, type):
        raise TypeError(checks.wrong(who, "model", "be a model or a layer", checks.text(model)))
    return list(entries(model))


def whole(parts):
    return {f"{part.start}{name}": a for part in parts for name, a in part.theirs.items()}


def load_torch_state(
    model: Any, state: Mapping[str, Any] | PathLike, names: Mapping[str, str] | None = None
) -> None:
    """Read weights and running statistics of a PyTorch module into the model's own arrays.

    - state: ``module.state_dict()``, with tensors or arrays, or the path of a safetensors file.
      Files of ``torch.save`` are not read: they are pickles, which can run code;
    - names: PyTorch's name of a module and the number of the layer here, such as ``{"conv1": "0",
      "fc": "3"}``. None: the keys are those of ``to_torch_state``; if not one of them is, modules
      and layers with weights are paired in order, which is right for modules made in the order of
      their use.

    Numbers are cast to the dtype of the model. A recurrent module's two biases are added up; those
    it lacks are zeros.

    Raises ValueError, with nothing changed, for a missing or unknown key, another shape, numbers
    that are not finite, and different values for an array that layers share; TypeError for what is
    not a state.

    >>> from chainrule.models import MLP
    >>> model, other = MLP([2, 3, 2], rng=0), MLP([2, 3, 2], rng=1)
    >>> load_torch_state(model, to_torch_state(other))
    >>> all((p == q).all() for p, q in zip(model.params, other.params))
    True
    """
    parts = parts_of(WHO, model)
    wanted = whole(parts)
    given = renamed(parts, read_state(state, wanted), names)
    optional = missing_by_right(parts, given)
    for key, array in wanted.items():
        if key not in given and key not in optional:
            raise ValueError(f"{WHO}: {key} is missing, an array of shape {array.shape}; the state "
                             f"has {some(given)}")
    for key, array in given.items():
        if key not in wanted:
            raise ValueError(f"{WHO}: there is no place for {key}; the model has {some(wanted)}")
        if array.shape != wanted[key].shape:
            raise ValueError(checks.wrong(WHO, key, f"have shape {wanted[key].shape}",
                                          array.shape))
    writes: list[tuple[str, Any, Array]] = []
    for part in parts:
        for name, value in taken_back(part, given).items():
            array, key = part.ours[name], f"{part.start}{name}"
            if array.dtype.kind == "f":
                value = fitting(f"{WHO}:", key, array, value)
            elif not np.can_cast(value.dtype, array.dtype, "same_kind"):
                raise ValueError(checks.wrong(WHO, key, f"hold {array.dtype}", value.dtype))
            writes.append((key, array, value))
    agree(writes)
    for _, array, value in writes:
        array[...] = value


def missing_by_right(parts, given):
    """The keys that a state may lack: counts of batches, a recurrent layer's biases."""
    lacking = set()
    for part in parts:
        if known(part.layer, LAYOUT) is not None:
            biases = {f"{part.start}{name}" for name in part.theirs
                      if name.startswith(("bias_ih", "bias_hh"))}
            lacking |= biases if biases.isdisjoint(given) else set()
            lacking |= {f"{part.start}num_batches_tracked"}
    return lacking


def taken_back(part, given):
    """Our arrays of a layer, from PyTorch's or, where these are missing, zeros."""
    made = {}
    for name, text in layout_of(part.layer).items():
        if text == "0" or name not in part.theirs:
            continue
        key = f"{part.start}{name}"
        value = given[key] if key in given else np.zeros_like(part.theirs[name])
        pieces = terms(text)
        for (mine, turned), piece in zip(pieces, np.split(value, len(pieces))):
            if text.startswith("+"):
                piece = made[mine] + piece if piece.any() else made[mine]  # keeps a -0
            made[mine] = piece.T if turned else piece
    return made


def agree(writes):
    """ValueError where two values are meant for one memory, and differ."""
    for i, (key, array, value) in enumerate(writes):
        for other, first, there in writes[:i]:
            how = relation(first, array)
            if how and not np.array_equal(there, value.T if how == "transposed" else value):
                raise ValueError(f"{WHO}: {other} and {key} are one array here, and differ in the "
                                 "state; train them tied there too, or make the model untied")


def some(keys):
    keys = list(keys)
    return ", ".join(keys[:8]) + ", ..." * (len(keys) > 8) if keys else "nothing"


def read_state(state, wanted):
    """A state as arrays by name; nothing in it is ever run."""
    if isinstance(state, (str, os.PathLike)):
        state = read_file(place(WHO, state), sum(array.size for array in wanted.values()))
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        hint = "module.state_dict() makes one" if hasattr(state, "state_dict") else ""
        raise TypeError(checks.wrong(WHO, "state", "be a dict of arrays by name, or a path",
                                     checks.text(state), hint))
    return {key: as_numbers(key, value) for key, value in state.items()}


def read_file(path, most):
    """The arrays of a safetensors file that, says its head, holds ``most`` numbers or fewer."""
    from safetensors import SafetensorError, safe_open
    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            for name, one in slices.items():
                if not re.fullmatch(r"[FIU](8|16|32|64)|BOOL", one.get_dtype()):
                    raise ValueError(checks.wrong(
                        WHO, f"{name} of {path}", "hold numbers that NumPy knows", one.get_dtype(),
                        "in PyTorch, tensor.float() makes float32"))
            numbers = sum(math.prod(one.get_shape()) for one in slices.values())
            if numbers > most:
                raise ValueError(checks.wrong(
                    WHO, str(path), f"hold at most {most:,} numbers, as the model does",
                    f"{numbers:,}"))
            return {name: file.get_tensor(name) for name in slices}
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{WHO}: there is no file {path}") from error
    except (OSError, SafetensorError) as error:
        raise ValueError(
            f"{WHO}: {path} is not a whole safetensors file ({error}); a file of torch.save is a "
            "pickle, which can run code: in PyTorch, safetensors.torch.save_file("
            "module.state_dict(), path) writes one that cannot") from error


def as_numbers(key, value):
    if hasattr(value, "detach"):  # a tensor
        value = value.detach().cpu()
        # NumPy knows no bfloat16
        value = (value.float() if value.is_floating_point() and value.element_size() < 4
                 else value).numpy()
    array = checks.as_array(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(checks.wrong(WHO, key, "be an array of numbers",
                                     checks.kind_text(value, array)))
    return array


def renamed(parts, given, names):
    """The state with the keys that ``to_torch_state`` has."""
    if names is not None:
        return by_names(grouped(given), names)
    if not parts or any(f"{part.start}{name}" in given for part in parts for name in part.theirs):
        return given
    return in_order(parts, grouped(given))


def by_names(modules, names):
    if not isinstance(names, Mapping):
        raise TypeError(checks.wrong(WHO, "names", "be a dict such as {'conv1': '0'}",
                                     checks.text(names)))
    for name in names:
        if name not in modules:
            raise ValueError(checks.wrong(WHO, "names", "name modules of the state, which are "
                                          f"{some(modules)}", repr(name)))
    return {f"{names.get(module, module)}.{name}": array
            for module, arrays in modules.items() for name, array in arrays.items()}


def in_order(parts, modules):
    layers = [named(part.path, part.layer) for part in parts]
    if len(modules) != len(parts):
        raise ValueError(f"{WHO}: the model has {len(parts)} layers with weights ({some(layers)}), "
                         f"the state {len(modules)} modules ({some(modules)}); say which is which "
                         "by names=")
    found = {}
    for (module, arrays), part, layer in zip(modules.items(), parts, layers):
        for name, array in arrays.items():
            mine = part.theirs.get(name)
            if mine is None or mine.shape != array.shape:
                where = "" if mine is None else f", where {mine.shape} is expected"
                raise ValueError(f"{WHO}: in order, {module} of the state is for {layer}, but its "
                                 f"{name} {array.shape} does not fit there{where}; say which is "
                                 "which by names=")
            found[f"{part.start}{name}"] = array
    return found


def grouped(given):
    """{module: {name: array}} of a state, in its order; each layer of a recurrent module of several
    is a module of its own: ``rnn.1``."""
    modules = {}
    for key, array in given.items():
        module, _, name = key.rpartition(".")
        if module.rpartition(".")[2] == "out_proj":
            module, name = module.rpartition(".")[0], f"out_proj.{name}"
        layer = re.fullmatch(r"((?:weight|bias)_[ih]h)_l(\d+)(_reverse)?", name)
        if layer and layer[2] != "0":
            module, name = f"{module}.{layer[2]}", f"{layer[1]}_l0{layer[3] or ''}"
        modules.setdefault(module, {})[name] = array
    return modules
