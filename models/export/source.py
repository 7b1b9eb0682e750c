"""Models as PyTorch code that reads as one would write it."""

import keyword
import re
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from string import ascii_lowercase
from typing import Any, NamedTuple

import numpy as np

from ... import __version__
from ... import layers as L
from ...common import checks
from ...common.files import naming, write_whole
from ...common.sharing import relation
from ...common.types import ArrayLike, PathLike
from ..saving import place
from ..text import AttentionSeq2Seq
from .following import (
    CHAINS,
    TRANSLATORS,
    axes_after,
    axes_of_inputs,
    distinct,
    follow,
    inputs_of,
    is_network,
)
from .helpers import HELPERS, needed
from .registry import (
    RECURRENT,
    SOURCE,
    Torch,
    alike,
    base,
    foreign,
    halves,
    known,
    output_padding,
    unfit,
    writes,
)
from .state import layout_of, leaves, terms, to_torch_state

WHO, WIDTH, SHORT = "to_source", 88, 48
TAKEN = {*keyword.kwlist, *HELPERS, "self", "torch", "nn", "F", "range", "tuple", "Path", "load"}
NUMBER = re.compile(r"(?<![\w.\"])\d+(?:\.\d+)?(?:e[+-]?\d+)?\b")


def to_source(model: Any, path: PathLike | None = None, *examples: ArrayLike) -> str:
    """The text of a Python file that makes the model in PyTorch, to be read and changed.

    It has a class of the model's name, with a line for each layer, and ``load()``, which gives it
    with its weights in evaluation mode. Blocks that differ in their sizes alone become one class.
    Keys are those of ``to_torch_state``.

    - path: the file to write, such as "lenet.py", with the weights beside it in
      "lenet.safetensors". None: neither is written;
    - examples: inputs, where the layers do not tell how many axes they have, such as images for a
      BatchNorm in front.

    What is lost: the loss, the penalty, the state that recurrent layers carry on, and in training
    dropout within attention and ``unbiased=False`` of a BatchNorm.

    Raises TypeError or ValueError for a layer that cannot be written, with its number; see
    ``register_exporter``.

    >>> from chainrule.models import MLP
    >>> print(to_source(MLP([4, 8, 3], rng=0)).split("\\n\\n\\n")[1])
    class MLP(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    """
    if not hasattr(model, "layers") or isinstance(model, type):
        raise TypeError(checks.wrong(WHO, "model", "be a model", checks.text(model)))
    if path is None:
        stem = identifier(type(model).__name__).lower()
        return whole_file(model, f"{stem}.safetensors", examples)
    file = place(WHO, path)
    if file.suffix != ".py":
        raise ValueError(checks.wrong(WHO, "path", "end in .py", repr(str(path))))
    weights = file.with_suffix(".safetensors")
    text = whole_file(model, weights.name, examples)
    from safetensors.numpy import save
    for path, data in (file, text.encode()), (weights, save(to_torch_state(model))):
        with naming(WHO, path):
            write_whole(path, data)
    return text


def identifier(name, otherwise="Model"):
    return name if name.isidentifier() and name not in TAKEN else otherwise


@dataclass
class Step:
    """A line of forward: an expression, in which earlier steps are ``\\x01number\\x01``."""
    text: str
    axes: Any


class Block:
    """A network as a class: its modules, Blocks among them, and the lines of its forward (None: one
    module after the other)."""

    def __init__(self, name, modules, forward):
        self.name, self.modules, self.forward = name, modules, forward
        self.ties = []
        self.inside = [m for m in modules.values() if isinstance(m, Block)]
        self.height = 1 + max((b.height for b in self.inside), default=0)
        shape = [(key, m.key if isinstance(m, Block) else NUMBER.sub("#", m))
                 for key, m in modules.items()]
        self.key = repr((name, shape, forward))

    def numbers(self, made):
        """All the numbers in it, also those given to blocks inside."""
        found = []
        for m in self.modules.values():
            if isinstance(m, Block):
                numbers = m.numbers(made)
                found += [numbers[i] for i in made[m.key].places]
            else:
                found += NUMBER.findall(m)
        return found


class Made(NamedTuple):
    """A class that several blocks share, and the places of the numbers in which they differ."""
    name: str
    text: str
    places: list[int]


def whole_file(model, weights, examples):
    if known(model, TRANSLATORS):
        name = identifier(type(model).__name__)
        classes = [translator(model, name)]
    elif is_network(model):
        block = block_of("", model, axes_of_inputs(WHO, model, examples), top=True)
        block.ties = tied(model)
        classes = classes_of(block)
        name = block.name
    else:
        raise foreign(WHO, "", model, "source")
    body = "\n\n\n".join([*needed("\n".join(classes)), *classes])
    imports = [("import torch", r"\btorch\."), ("from safetensors.torch import load_file", ""),
               ("from torch import nn", ""), ("from torch.nn import functional as F", r"\bF\.")]
    lines = "\n".join(line for line, use in imports if re.search(use, body))
    double = ".double()" * any(p.dtype == np.float64 for p in model.params)
    return f'''"""{name}, as PyTorch code: exported from chainrule {__version__}."""
from pathlib import Path

{lines}


{body}


def load(path=None):
    """The model with its weights: those beside this file, or another safetensors file."""
    path = path or Path(__file__).with_name("{weights}")
    model = {name}(){double}
    model.load_state_dict(load_file(path))
    return model.eval()
'''


def block_of(path, model, axes, top=False):
    """A network as a Block; plain modules in a row as the text of an nn.Sequential."""
    modules = {}
    steps = []
    visited = set()
    plain = bool(known(model, CHAINS))
    inside = f"{path}." if path else ""

    def visit(number, layer, *values):
        nonlocal plain
        taken = [value.axes for value in values]
        after = axes_after(f"{inside}{number}", layer, *taken)
        made = written(f"{inside}{number}", layer, taken)
        visited.add(number)
        if made.module:
            modules[number] = made.module
        plain = plain and made.call == "{m}({0})"
        texts = [value.text for value in values]
        steps.append(Step(made.call.format(*texts, m=f'self["{number}"]',
                                           inputs=", ".join(texts)), after))
        here = f"\x01{len(steps) - 1}\x01"
        if isinstance(after, tuple):
            return tuple(Step(f"{here}[{i}]", n) for i, n in enumerate(after))
        return Step(here, after)

    names = distinct([identifier(name, f"x{i + 1}") for i, name in enumerate(inputs_of(model))])
    made = follow(model, [Step(name, n) for name, n in zip(names, axes)], visit,
                  partial(constant, model))
    for i, layer in enumerate(model.layers):  # what serves the loss alone
        if str(i) not in visited and len(getattr(layer, "params", ())):
            modules[str(i)] = written(f"{inside}{i}", layer, [2]).module
    modules = {str(i): modules[str(i)] for i in range(len(model.layers)) if str(i) in modules}
    if plain and not top and not any(isinstance(m, Block) for m in modules.values()):
        return f"nn.Sequential({', '.join(modules.values())})"
    outputs = made if isinstance(made, tuple) else (made,)
    lines = None if plain else [f"def forward(self, {', '.join(names)}):",
                                *forward(steps, [end.text for end in outputs], names)]
    name = identifier(type(model).__name__)
    if name in ("Sequential", "Graph"):
        name = "Block" if path else "Model"
    return Block(name, modules, lines)


def constant(model, array):
    """A number, or an array of the model's dtype."""
    a = np.asarray(array)
    dtype = model.params[0].dtype if a.dtype.kind == "f" and model.params else a.dtype
    text = re.sub("inf|nan", r"torch.\g<0>", repr(a.tolist()))
    return Step(f"torch.tensor({text}, dtype=torch.{dtype})" if a.ndim else text, a.ndim)


def written(path, layer, axes):
    if is_network(layer):
        return Torch("{m}({inputs})" if len(axes) > 1 else "{m}({0})",
                     block_of(path, layer, axes))
    write = known(layer, SOURCE)
    if write is None:
        raise foreign(WHO, path, layer, "source")
    try:
        return write(layer, axes) if write in BY_AXES else write(layer)
    except NotImplementedError as error:
        raise unfit(WHO, path, layer, str(error)) from None


def classes_of(top):
    """The classes of a block and of all inside, innermost first."""
    alike = {}

    def collect(block):
        for inner in block.inside:
            collect(inner)
        alike.setdefault(block.key, []).append(block)
    collect(top)
    made = {}
    names = {}
    for key, blocks in sorted(alike.items(), key=lambda item: item[1][0].height):
        columns = list(zip(*(block.numbers(made) for block in blocks)))
        varying = [i for i, column in enumerate(columns) if len(set(column)) > 1]
        parameters = list(dict.fromkeys(columns[i] for i in varying))
        places = [columns.index(column) for column in parameters]
        n = len(parameters)
        letters = dict(zip(parameters, ascii_lowercase if n <= 26 else
                           [f"n{i + 1}" for i in range(n)]))
        words = [letters.get(column, column[0]) for column in columns]
        first = blocks[0]
        names[first.name] = count = names.get(first.name, 0) + 1
        name = f"{first.name}{count}" if count > 1 else first.name
        text = class_text(name, first, iter(words), letters.values(), made)
        made[key] = Made(name, text, places)
        for block in blocks:
            block.name = name
    return [one.text for one in made.values()]


def class_text(name, block, words, parameters, made):
    """A block's class, its numbers replaced by ``words``."""
    def module(m):
        if isinstance(m, Block):
            return f"{made[m.key].name}({', '.join(next(words) for _ in made[m.key].places)})"
        return NUMBER.sub(lambda _: next(words), m)
    modules = {key: module(m) for key, m in block.modules.items()}
    if block.forward is None:
        base, inner = "nn.Sequential", ", ".join(modules.values())
    else:
        base = "nn.ModuleDict"
        inner = "{" + ", ".join(f'"{key}": {m}' for key, m in modules.items()) + "}"
    lines = [f"class {name}({base}):"]
    if modules:
        lines += [f"    def __init__({', '.join(['self', *parameters])}):",
                  *wrapped(f"super().__init__({inner})", 8), *block.ties]
    if block.forward is not None:
        lines += [""] * bool(modules) + [f"    {line}" for line in block.forward]
    return "\n".join(lines)


def wrapped(text, indent):
    """An expression on lines of at most WIDTH columns, as far as its brackets allow it."""
    fits = indent + len(text) <= WIDTH or not list(brackets(text))
    return [" " * indent + text] if fits else broken(text, indent)


def broken(text, indent):
    """An expression, broken at the commas of its longest brackets."""
    start, *commas, end = max(brackets(text), key=lambda group: group[-1] - group[0])
    if not commas and text[start + 1] == "{":  # a dict as the only argument
        first, *others = broken(text[start + 1:end], indent)
        others[-1] += text[end:]
        return [f"{' ' * indent}{text[:start + 1]}{first.strip()}", *others]
    lines = [" " * indent + text[:start + 1]]
    for i, j in pairwise([start, *commas, end]):
        *head, tail = wrapped(text[i + 1:j].strip(), indent + 4)
        lines += [*head, tail + "," * bool(commas)]  # (x,) is a tuple
    return [*lines, f"{' ' * indent}{text[end:]}"]


def brackets(text):
    """The places of each pair of outermost brackets, and of the commas right inside it."""
    depth, places = 0, []
    for i, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 1 and (character == "," or character in "([{"):
            places.append(i)
        if not depth and character in ")]}":
            yield [*places, i]
            places = []


def alone(text):
    """Whether an expression needs no brackets around it, as f(x)[0].mean() and unlike x + y, -1."""
    for start, *_, end in reversed(list(brackets(text))):
        text = text[:start] + text[end + 1:]
    return bool(re.fullmatch(r"[\w.]+", text))


def forward(steps, outputs, names):
    """The lines of a forward: a step used once stands in its place while the line stays short."""
    token = re.compile("\x01(\\d+)\x01")
    texts = [step.text for step in steps] + [", ".join(outputs)]
    count = [0] * len(texts)
    for text in texts:
        for i in token.findall(text):
            count[int(i)] += 1
    free = (f"h{k}" for k in range(1, 10**6) if f"h{k}" not in names)
    lines = []
    values = {}
    for k, text in enumerate(texts):
        def put(match, text=text):
            value = values[int(match[1])]
            before, behind = text[:match.start()][-2:], text[match.end():][:1]
            bare = (before.endswith("(") or before in (", ", "")) and behind in (",", ")", "")
            return value if bare or alone(value) else f"({value})"
        whole = token.sub(put, text)
        if k == len(steps):
            first, *others = wrapped(whole, 8)
            lines += [f"    return {first.strip()}", *others]
        elif count[k] == 1 and (len(whole) < SHORT or texts[-1] == f"\x01{k}\x01"):
            values[k] = whole
        elif count[k]:
            values[k] = next(free)
            lines += [line[4:] for line in wrapped(f"{values[k]} = {whole}", 8)]
    return lines


def tied(model):
    """The lines that make one parameter of those that are one array here."""
    seen = []
    lines = []
    for path, layer, arrays in leaves(model):
        for theirs, ours in layout_of(layer).items():
            for mine, turned in terms(ours):
                if mine not in arrays or ours.startswith("+"):
                    continue
                array = arrays[mine].T if turned else arrays[mine]
                here = f'self.get_submodule("{path}").{theirs}'
                whole = " " not in ours
                first = next((there for other, alone, there in seen
                              if alone and relation(other, array) == "same"), None)
                if first and whole:
                    lines.append(f"        {here} = {first}")
                elif any(relation(other, array) for other, _, _ in seen):
                    raise unfit(WHO, path, layer, f"its {mine} is shared with another layer, where "
                                "PyTorch has it in another layout")
                seen.append((array, whole, here))
    return lines


DEFAULTS = {"bias": True, "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "eps": 1e-5,
            "output_padding": 0, "momentum": 0.1, "bidirectional": False, "causal": False}


def nn(name, *positional, call="{m}({0})", **options):
    """A layer that is a module of PyTorch, with the options that are not PyTorch's defaults, and
    pairs of equal numbers as one number."""
    def short(value):
        return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
    given = [repr(short(value)) for value in positional] + [
        f"{key}={short(value)!r}" for key, value in options.items()
        if short(value) != DEFAULTS.get(key)]
    return Torch(call, f"{name}({', '.join(given)})")


def plain(text):
    """A layer that is one text whatever its options: a module's, or an expression of inputs."""
    return lambda layer: Torch(text) if "{" in text else Torch("{m}({0})", text)


SOURCE.update({
    **{getattr(L, name): plain(text) for name, text in dict(
        Sigmoid="nn.Sigmoid()", Tanh="nn.Tanh()", ReLU="nn.ReLU()", SiLU="nn.SiLU()",
        Softplus="nn.Softplus()", Softmax="nn.Softmax(dim=-1)", Flatten="nn.Flatten()",
        Add="{0} + {1}", Subtract="{0} - {1}", Multiply="{0} * {1}", Divide="{0} / {1}",
        Exp="torch.exp({0})", Log="torch.log({0})",
        Sin="torch.sin({0})", GlobalAveragePool="{0}.mean((2, 3))",
        Attention="attention({inputs})").items()},
    L.LeakyReLU: lambda layer: nn("nn.LeakyReLU", layer.slope),
    L.ELU: lambda layer: nn("nn.ELU", layer.alpha),
    L.GELU: lambda layer: Torch(
        "{m}({0})", "nn.GELU()" if layer.exact else 'nn.GELU(approximate="tanh")'),
    L.Dropout: lambda layer: nn("nn.Dropout", layer.p),
    L.Power: lambda layer: Torch("{0} ** {1}" if layer.exponent is None
                                 else f"{{0}} ** {layer.exponent:.17g}"),
    L.Repeat: lambda layer: Torch(f"{{0}}.repeat_interleave({layer.n}, dim={layer.axis})"),
    L.Branch: lambda layer: Torch(f"[{{0}}] * {layer.n}"),
    L.Reshape: lambda layer: Torch(f"{{0}}.reshape({layer.shape})"),
    L.Transpose: lambda layer: Torch("{0}.permute(*range({0}.dim())[::-1])" if layer.axes is None
                                     else f"{{0}}.permute{layer.axes}"),
    L.Concatenate: lambda layer: Torch(f"torch.cat([{{inputs}}], dim={layer.axis})"),
    L.Embedding: lambda layer: nn("nn.Embedding", *layer.W.shape),
    L.EmbeddingDot: lambda layer: nn("nn.Embedding", *layer.W.shape,
                                     call="({m}({1}) @ {0}[..., None])[..., 0]"),
    L.LayerNorm: lambda layer: nn("nn.LayerNorm", len(layer.gamma), eps=layer.eps),
    L.GroupNorm: lambda layer: nn("nn.GroupNorm", layer.groups, len(layer.gamma), eps=layer.eps),
    L.MaxPool: lambda layer: pool("nn.MaxPool2d", layer),
    L.AveragePool: lambda layer: pool("nn.AvgPool2d", layer),
    L.RNNCell: lambda layer: nn("nn.RNNCell", *sizes_of(layer), call="{m}({0}, {1})"),
    L.LSTMCell: lambda layer: nn("nn.LSTMCell", *sizes_of(layer), call="{m}({0}, ({1}, {2}))"),
    L.GRUCell: lambda layer: nn("nn.GRUCell", *sizes_of(layer), call="{m}({0}, {1})"),
    L.PositionalEncoding: lambda layer: (nn("Positions", *layer.W.shape) if layer.params
                                         else nn("Waves")),
})


@writes(L.Affine, L.MatMul, table=SOURCE)
def affine(layer):
    if not layer.params:
        return Torch("{0} @ {1}")
    return nn("nn.Linear", *layer.W.shape, bias=len(layer.params) > 1)


@writes(L.Sum, L.Mean, L.LogSumExp, table=SOURCE)
def reduced(layer):
    name = base(layer, L.Sum, L.Mean, L.LogSumExp).__name__.lower()
    axis = "tuple(range({0}.dim()))" if layer.axis is None else repr(layer.axis)
    return Torch(f"{{0}}.{name}({axis}{', keepdim=True' * layer.keepdims})")


@writes(L.Maximum, table=SOURCE)
def maximum(layer, axes):
    """torch.maximum takes no numbers."""
    return Torch("torch.maximum({0}, {1})" if all(axes) else "torch.where({0} > {1}, {0}, {1})")


@writes(L.Last, table=SOURCE)
def last(layer, axes):
    return Torch("{0}[:, -1]" if len(axes) == 1 else "last_step({0}, {1})")


def pool(name, layer):
    """PyTorch's stride is the size, unless it is said."""
    stride = [layer.stride] * (layer.stride != layer.size)
    return nn(name, layer.size, *stride, padding=layer.padding)


@writes(L.BatchNorm, table=SOURCE)
def batch_norm(layer, axes):
    return nn(f"nn.BatchNorm{max(1, axes[0] - 2)}d", len(layer.gamma), eps=layer.eps,
              momentum=layer.momentum)


@writes(L.Convolution, L.Convolution1D, table=SOURCE)
def convolution(layer):
    W, padding = layer.params[0], layer.padding
    odd = any((k - 1) * d % 2 for k, d in zip(W.shape[2:], np.atleast_1d(layer.dilation)))
    call = "{m}({0})"
    if padding == "same" and (odd or layer.stride not in (1, (1, 1))):
        call, padding = "same({m}, {0})", 0
    return nn(f"nn.Conv{W.ndim - 2}d", W.shape[1] * layer.groups, len(W), W.shape[2:], call=call,
              stride=layer.stride, padding=padding, dilation=layer.dilation, groups=layer.groups,
              bias=len(layer.params) > 1)


@writes(L.TransposedConvolution, table=SOURCE)
def transposed_convolution(layer):
    W, pads, rest = layer.params[0], layer.options()["pads"], output_padding(layer)
    if any(r >= max(s, d) for r, s, d in zip(rest, layer.stride, layer.dilation) if r):
        raise NotImplementedError(f"PyTorch takes no output_padding of {rest} there")
    odd = [":" if p == q else f":-{q - p}" for p, q in pads]  # more is cut off behind
    cut = "" if odd == [":", ":"] else f"[..., {', '.join(odd)}]"
    return nn("nn.ConvTranspose2d", len(W), W.shape[1] * layer.groups, W.shape[2:],
              call="{m}({0})" + cut, stride=layer.stride, padding=tuple(p[0] for p in pads),
              output_padding=rest, dilation=layer.dilation, groups=layer.groups,
              bias=len(layer.params) > 1)


def sizes_of(layer):
    return map(len, layer.params[:2])


@writes(*RECURRENT, L.Bidirectional, table=SOURCE)
def recurrent(layer, axes):
    """nn.LSTM and its like return all h and the last state."""
    first, *more = parts = halves(layer)
    if not alike(parts):
        raise NotImplementedError("PyTorch's bidirectional layers have two halves of one kind and "
                                  "size")
    back = not more and layer.reverse
    if len(axes) > 1:
        call = f"over_time({{m}}, {{0}}, {{1}}{', reverse=True' * back})[0]"
    else:
        call = "{m}({0}.flip(1))[0].flip(1)" if back else "{m}({0})[0]"
    return nn(f"nn.{base(first, *RECURRENT).__name__}", *sizes_of(first), call=call,
              batch_first=True, bidirectional=bool(more))


@writes(L.MultiHeadAttention, table=SOURCE)
def multi_head_attention(layer, axes):
    name, call = ("SelfAttention", "{m}({0})") if len(axes) == 1 else (
        "CrossAttention", "{m}({inputs})")
    return nn(name, len(layer.Wq), layer.heads, call=call, causal=layer.causal)


# (layer, axes of its inputs)
BY_AXES = {maximum, last, batch_norm, recurrent, multi_head_attention}


def translator(model, name):
    end = str(len(model.layers) - 1)
    layers = {"0": model.source, "1": model.encoder, "2": model.target, "3": model.decoder,
              end: model.scores}
    modules = ", ".join(f'"{key}": {written(key, layer, [3]).module}'
                        for key, layer in layers.items())
    lines = [f"class {name}(nn.ModuleDict):", "    def __init__(self):",
             *wrapped(f"super().__init__({{{modules}}})", 8), "",
             "    def forward(self, x, t, x_mask=None):",
             '        """The scores of each token of t but the first, which starts the answer."""',
             f'        hs, state = over_time(self["1"], self["0"](x), x_mask'
             f'{", reverse=True" * model.encoder.reverse})',
             '        e = self["2"](t[:, :-1])']
    if model.peeky:
        lines += [f"        h = {'state[0]' if isinstance(model.encoder, L.LSTM) else 'state'}[0]",
                  "        h = h[:, None].expand(-1, e.shape[1], -1)",
                  "        e = torch.cat([e, h], dim=2)"]
    lines += ['        g, _ = self["3"](e, state)']
    if isinstance(model, AttentionSeq2Seq):
        lines += ["        c = attention(g, hs, hs, None if x_mask is None else x_mask[:, None])",
                  "        g = torch.cat([g, c], dim=2)"]
    if model.peeky:
        lines += ["        g = torch.cat([g, h], dim=2)"]
    return "\n".join([*lines, f'        return self["{end}"](g)'])
