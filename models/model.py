"""What every network of layers has in common: paired lists, loss and penalty, prediction, saving and loading."""
import inspect
import json
import os
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType

import numpy as np

from ..common import checks, threads
from ..common.files import write_whole
from ..common.heap import keep_freed_memory
from ..common.layer import Layer, evaluation, held, reset_states, walk
from ..layers import Convolution
from .sharing import Parameters, checked, relation, trainable

# Arguments of a layer's constructor that shape the output but no parameter: load tells them by their names.
OPTIONS = ("heads", "causal", "reverse", "groups", "size", "stride", "padding", "dilation", "slope", "exponent", "n", "axis",
           "keepdims", "axes", "shape", "eps")


class Model(Layer):
    """A network of layers that is itself a layer. A subclass says how values run through it, in ``run(*inputs)`` and
    ``run_back(dout, input_gradient)``.

    - ``forward(x)`` returns the output, ``forward(x, t)`` the loss, a float, with the penalty in it;
    - ``backward()`` after ``forward(x, t)`` fills ``grads``;
    - ``predict(x)`` returns the output in evaluation mode and leaves no trace;
    - ``params``, ``grads``: the lists over all layers, an array that layers share listed once.
    """

    guarded = False

    def __init__(self, layers, loss=None, penalty=None):
        super().__init__()
        if not layers:
            raise ValueError(f"{type(self).__name__}: a model needs at least one layer")
        for name, part, example, kinds in (("loss", loss, "SoftmaxWithLoss()", ("forward", "connect")),
                                           ("penalty", penalty, "L2(0.01)", ("add_gradients",))):
            if isinstance(part, type):
                raise TypeError(checks.wrong(type(self).__name__, name, f"be an object, as in {name}={part.__name__}(...)",
                                             f"the class {part.__name__}"))
            if part is not None and not any(hasattr(part, kind) for kind in kinds):
                raise TypeError(checks.wrong(type(self).__name__, name, f"be None or an object, as in {name}={example}",
                                             repr(part)))
        self.layers, self.loss, self.penalty = checked(layers), loss, penalty
        for i, layer in enumerate(self.layers):
            if getattr(layer, "penalty", None) is not None:
                raise ValueError(f"layer {i} ({type(layer).__name__}) has a penalty of its own, which would be lost inside "
                                 "another model; give the penalty to the outer one")
        self._parameters = Parameters(self.layers)
        self.params, self.grads = self._parameters.params, self._parameters.grads
        self.names = tuple(self._parameters.names)
        self.output = None        # of the last forward, so that metrics need no second one
        self._forward_only = not all(hasattr(layer, "backward") and hasattr(layer, "grads") for layer in self.layers)
        self._ready = None        # what backward may follow: "output" or "loss"
        self._convolves = any(isinstance(layer, Convolution) for layer in walk(self))
        keep_freed_memory()

    @property
    def training(self):
        """True while training; setting it sets every layer inside."""
        return self._training

    @training.setter
    def training(self, flag):
        self._training = flag
        for layer in walk(self):
            if layer is not self and hasattr(layer, "training"):
                layer.training = flag

    _training = True

    def forward(self, x, t=None):
        """The output of x or, with targets t, the loss: a float, penalty included."""
        return self._forward((x,), () if t is None else (t,))

    def _forward(self, inputs, targets):
        self._ready = None
        try:
            with self._threads():
                self.output = y = self.run(*inputs)
                if not targets:
                    self._ready = "output"
                    return y
                if self.loss is None:
                    raise RuntimeError(f"{type(self).__name__}: forward(x, t) needs a loss, as in "
                                       f"{type(self).__name__}(..., loss=SoftmaxWithLoss())")
                loss = self.run_loss(*targets)
        except Exception as error:
            raise plainly(error) from error.__cause__
        if self.penalty is not None:
            loss += self.penalty.loss(self.params)
        self._ready = "loss"
        return loss

    def backward(self, dout=None, input_gradient=False):
        """Fill ``grads``: after ``forward(x, t)`` with the loss's gradients, after ``forward(x)`` with those of Σ
        dout · y.

        The penalty's gradients are added to the model's ``grads``: the layer's own arrays, or for a shared weight one
        that only the model has. Returns dL/dx if ``dout`` is given or ``input_gradient`` is true, else None (and does
        not compute it).
        """
        if self._ready is None:
            raise RuntimeError(f"{type(self).__name__}: backward was called before forward; call forward(x, t) first "
                               "(predict keeps nothing for backward)")
        wanted = input_gradient or dout is not None
        if self._forward_only:
            trainable(self.layers)
        with self._threads():
            if self._ready == "loss":
                scale = 1.0 if dout is None else dout
                dx = self.run_back(self.run_loss_back(scale), wanted)
            elif dout is None:
                raise RuntimeError(f"{type(self).__name__}: backward() follows forward(x, t), which gives a loss; after "
                                   "forward(x) say what the output's gradient is: backward(dout)")
            else:
                dx = self.run_back(dout, wanted and self.input_gradient)
        self._parameters.check(self)
        self._parameters.gather()
        if self._ready == "loss" and self.penalty is not None:
            self.penalty.add_gradients(self.params, self.grads, scale)
        return dx if wanted else None

    def _threads(self):
        """What a pass runs in. Which layers there are decides, never what was seen before: who goes on with a training
        tomorrow calculates what he would have calculated today."""
        return threads.one_thread() if self._convolves else nullcontext()

    def run_loss(self, t):
        return self.loss.forward(self.output, t)

    def run_loss_back(self, scale):
        return self.loss.backward(scale)

    def predict(self, *inputs, batch_size=None):
        """The output in evaluation mode, ``batch_size`` samples at a time, without a trace: caches are empty
        afterwards, flags, running statistics and generators as they were, also when it fails."""
        from ..training.batches import batches
        try:
            with evaluation(self), self._threads():
                if batch_size is None:
                    return self.run(*inputs)
                parts = []
                for part in batches(*inputs, batch_size=batch_size, shuffle=False):
                    reset_states(self)                    # samples do not follow each other, wherever they are cut
                    parts.append(self.run(*part) if isinstance(part, tuple) else self.run(part))
                return joined(parts)
        finally:
            self._ready = self.output = None

    def summary(self, *inputs):
        """A table, text and HTML: output shape, parameters, cached bytes and multiply-adds per layer, for one forward
        of these inputs (with the targets behind them, the loss too). The model stays as it is."""
        from .summary import summary
        return summary(self, *inputs)

    def draw(self, ax=None, values=False, x=None):
        """A picture on Axes; ``x`` adds shapes, ``values`` a traced Graph's values and gradients. See ``drawing.draw``."""
        from .drawing import draw
        return draw(self, ax, values, x)

    def to_svg(self, values=False, x=None):
        """The picture that ``draw`` paints, as the text of an SVG file."""
        from .drawing import to_svg
        return to_svg(self, values, x)

    def _repr_svg_(self):
        from .drawing import notebook_svg
        return notebook_svg(self)

    def __getstate__(self):
        """What ``copy`` and ``pickle`` keep: no caches, and which arrays of different layers are one, seen by memory."""
        state = {**super().__getstate__(), "output": None, "_ready": None, "_shared": self._shared()}
        del state["_parameters"]
        return state

    def __setstate__(self, state):
        shared = state.pop("_shared")
        vars(self).update(state)
        arrays = [(layer.params, j) for layer in walk(self)
                  if hasattr(layer, "params") and not isinstance(layer, Model) for j in range(len(layer.params))]
        for k, first, how in shared:
            (mine, j), (theirs, i) = arrays[k], arrays[first]
            if relation(theirs[i], mine[j]) == how:          # whoever copied saw to it already
                continue
            mine[j] = theirs[i] if how == "same" else theirs[i].T
        self._tie()

    def _shared(self):
        """(k, first, how) for each array k, counted over all layers, that shares the memory of an earlier one."""
        arrays, known, shared = [], {}, []
        for layer in walk(self):
            if not isinstance(layer, Model):
                for p in getattr(layer, "params", ()):
                    first = known.setdefault(p.__array_interface__["data"][0], len(arrays)) if p.size else len(arrays)
                    how = relation(arrays[first], p) if first < len(arrays) and arrays[first] is not p else None
                    if how in ("same", "transposed"):
                        shared.append((len(arrays), first, how))
                    arrays.append(p)
        return shared

    def _tie(self):
        """Make the lists over all layers anew, in models inside first; the list objects stay."""
        for layer in self.layers:
            if isinstance(layer, Model):
                layer._tie()
        made = Parameters(self.layers)
        self.params[:], self.grads[:] = made.params, made.grads
        made.params, made.grads, self._parameters = self.params, self.grads, made

    def _numbered(self):
        """(number, layer) for each layer, "3.0" being the first one of the model that stands inside as layer 3, and
        "3.norm" the one that layer 3, of a user's own, holds as its attribute ``norm``."""
        return ((path, layer) for path, layer in held(self) if not isinstance(layer, Model))

    def _states(self):
        """(name, layer, state) for each recurrent layer that carries a state on."""
        return [(f"{number}.state", layer, layer.state) for number, layer in self._numbered()
                if getattr(layer, "stateful", False) and hasattr(layer, "reset_state")]

    def _buffers(self):
        """(name, layer, key) for each piece of state that is no parameter."""
        return ((f"{number}.{key}", layer, key) for number, layer in self._numbered() for key in getattr(layer, "buffers", ()))

    def _way(self):
        """(number, layer) for each layer on the way to the output: what a file has to agree with."""
        return self._numbered()

    def _kinds(self):
        """{number: name of the class} for each layer on the way to the output."""
        return {number: type(layer).__name__ for number, layer in self._way()}

    def _options(self):
        """The layers' options, as a dict that has been through JSON; null for what JSON does not know."""
        options = {f"{number}.{name}": getattr(layer, name) for number, layer in self._way()
                   for name in inspect.signature(type(layer).__init__).parameters if name in OPTIONS and hasattr(layer, name)}
        return json.loads(json.dumps(options, default=lambda value: None))

    def save(self, path):
        """Write parameters and buffers to a safetensors file: arrays as ``"3.W"`` (layer 3's W), ``"3.params.0"`` for
        a class that names none, ``"3.running_mean"`` for a buffer; beside them, as text, a random generator's state, the
        layers' classes and options such as the number of heads. OSError if ``path`` is no place for a file, TypeError
        for a buffer that is no array, number or generator, RuntimeError if parameters or layers were replaced."""
        from safetensors.numpy import save
        path, who = Path(path), f"{type(self).__name__}.save"
        if not path.parent.is_dir():
            raise FileNotFoundError(f"{who}: there is no folder {path.parent}; make it first")
        if path.is_dir():
            raise IsADirectoryError(f"{who}: {path} is a folder; name a file in it")
        self._check()
        arrays = {name: np.array(p, order="C") for name, p in self._parameters.named.items()}
        texts = {"layers": self._kinds(), "options": self._options()}
        for name, layer, key in self._buffers():
            value = layer.buffers[key]
            if isinstance(value, np.random.Generator):
                texts[name] = value.bit_generator.state
            else:
                arrays[name] = np.array(value, order="C")
                if arrays[name].dtype.kind not in "biufc":
                    raise TypeError(checks.wrong(who, f"buffer {name}", "be an array, a number or a numpy.random.Generator",
                                                 type(value).__name__))
        for name, _, state in self._states():
            parts = state if isinstance(state, tuple) else () if state is None else (state,)
            arrays |= {f"{name}.{i}": np.array(part, order="C") for i, part in enumerate(parts)}
        # One entry: safetensors writes several in any order, and equal models make equal files.
        write_whole(path, save(arrays, metadata={"chainrule": json.dumps(texts, default=lambda a: a.tolist())}))

    def load(self, path):
        """Read what ``save`` wrote into this model's own arrays. ValueError, with nothing changed, if that is not a whole
        file of ``save`` or if the layers' classes (by name), options, or names and shapes of arrays differ. What an older
        file does not say, classes or options, is not compared."""
        theirs, texts = read(path, f"{type(self).__name__}.load")
        who, kinds, options = f"{path} does not fit this {type(self).__name__}:", self._kinds(), self._options()
        compare(f"{who} layer", kinds, texts.pop("layers", kinds))
        saved = texts.pop("options", {})
        compare(who, options, {name: saved.get(name, value) for name, value in options.items()})
        self._check()
        states = [(layer, state_of(who, name, layer, theirs)) for name, layer, _ in self._states()]
        buffers = {name: layer.buffers[key] for name, layer, key in self._buffers()}
        mine = self._parameters.named | buffers
        for name in theirs.keys() & texts.keys():
            raise ValueError(f"{who} {name} stands in the file twice, as an array and as text")
        theirs |= texts                  # what is left of these is the states of generators
        compare(who, *({name: in_words(value) for name, value in values.items()} for values in (mine, theirs)))
        arrays = {name: fitting(who, name, p, theirs[name]) for name, p in self._parameters.named.items()}
        kept = {name: restored(who, name, value, theirs[name]) for name, value in buffers.items()}
        # All has been read and checked: from here on nothing can fail.
        for name, p in self._parameters.named.items():
            p[...] = arrays[name]
        for name, layer, key in self._buffers():
            value = layer.buffers[key]
            if isinstance(value, np.random.Generator):
                value.bit_generator.state = kept[name]
            elif isinstance(value, np.ndarray):
                value[...] = kept[name]
            else:
                layer.buffers[key] = kept[name]
        for layer, state in states:
            layer.state = state

    def _check(self):
        """RuntimeError if ``params`` of this model, or of one inside, is not what the layers have."""
        for layer in walk(self):
            if isinstance(layer, Model):
                layer._parameters.check(layer, ("params",))

    def __repr__(self):
        inner = "".join(f"  {i}: {layer!r}".replace("\n", "\n  ") + "\n" for i, layer in enumerate(self.layers))
        ends = "".join(f"  {name}: {getattr(self, name)!r}\n" for name in ("loss", "penalty")
                       if getattr(self, name) is not None)
        return f"{type(self).__name__}(\n{inner}{ends})"


def read(path, who):
    """Arrays and texts of a file that ``save`` wrote, as two dicts."""
    from safetensors import SafetensorError, safe_open
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}          # noqa: SIM118 (no dict)
            texts = file.metadata() or {}
    except FileNotFoundError:
        raise
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{who}: {path} should be a file that save wrote, whole; reading it failed: {error}") from error
    try:
        # Once there was an entry for the options and one for each generator, such as "1.rng".
        made = json.loads(texts["chainrule"]) if "chainrule" in texts else {
            name: json.loads(text) for name, text in texts.items() if name == "options" or name[:1].isdigit()}
        if not all(isinstance(part, dict) for part in (made, *made.values())):
            raise ValueError("its text is no dict of dicts")
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{who}: {path} is damaged, its metadata cannot be read: {error}") from error
    return arrays, made


def fitting(who, name, p, saved):
    """A parameter's new values, in its dtype, checked to be finite numbers."""
    if saved.dtype.kind not in "fiu":
        raise ValueError(f"{who} {name} is {p.dtype} in the model, {saved.dtype} in the file")
    with np.errstate(over="ignore"):
        values = saved.astype(p.dtype)
    if not np.isfinite(values).all():
        reason = "NaN or infinite numbers" if not np.isfinite(saved).all() else f"numbers too large for {p.dtype}"
        raise ValueError(f"{who} {name} holds {reason} in the file")
    return values


def state_of(who, name, layer, theirs):
    """The state that a recurrent layer carried on when the file was written, taken out of ``theirs``; None if there was
    none. ValueError unless it fits the layer."""
    n, H = len(layer.state_names), len(layer.params[1])
    parts = [theirs.pop(f"{name}.{i}") for i in range(n) if f"{name}.{i}" in theirs]
    if not parts:
        return None
    if len(parts) != n or any(part.ndim != 2 or part.shape[1] != H or part.shape != parts[0].shape for part in parts):
        raise ValueError(f"{who} {name} should be {n} arrays (N, {H}), the file has {[part.shape for part in parts]}")
    parts = tuple(fitting(who, name, layer.params[1], part) for part in parts)
    return parts[0] if n == 1 else parts


def compare(who, mine, theirs):
    """ValueError at the first name that is not the same in both dicts."""
    for name in mine | theirs:
        here, there = mine.get(name, "missing"), theirs.get(name, "missing")
        if here != there:
            raise ValueError(f"{who} {name} is {here} in the model, {there} in the file")


def in_words(value):
    """An array, a generator or a generator's state, as ``load`` compares it."""
    if isinstance(value, np.random.Generator):
        value = value.bit_generator.state
    return f"a {value.get('bit_generator')} generator" if isinstance(value, dict) else f"an array of shape {np.shape(value)}"


def restored(who, name, value, saved):
    """A buffer's value as it was saved: a new array or number, a generator's state; ValueError for one that does not fit."""
    if isinstance(value, np.random.Generator):
        try:
            type(value.bit_generator)(0).state = saved
        except (TypeError, ValueError, KeyError, OverflowError, AttributeError) as error:
            raise ValueError(f"{who} {name} is no state of a {saved.get('bit_generator')} generator: {error!r}") from error
        return saved
    if not isinstance(value, np.ndarray):
        return type(value)(saved.tolist())
    if value.dtype.kind == "f":
        return fitting(who, name, value, saved)
    if saved.dtype != value.dtype:
        raise ValueError(f"{who} {name} is {value.dtype} in the model, {saved.dtype} in the file")
    return saved


def plainly(error):
    """The error with none of this package's own frames in its traceback: what is left is the user's lines, those of a
    layer of his own too, and the sentence. (Where the user has none below, the frames of the call itself remain.)"""
    frames, tb = [], error.__traceback__
    while tb is not None:
        frames.append(tb)
        tb = tb.tb_next
    kept = None
    for tb in reversed(frames):
        if not tb.tb_frame.f_globals.get("__name__", "").startswith("chainrule."):
            kept = TracebackType(kept, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)
    return error.with_traceback(kept)


def note(error, model, layer):
    """Add to an error in which layer of which model it arose."""
    for i, inner in enumerate(model.layers):
        if inner is layer:
            error.add_note(f"in layer {i} of {type(model).__name__}: {type(layer).__name__}")


def joined(parts):
    """The outputs of several batches as one; for several outputs a tuple."""
    if isinstance(parts[0], tuple):
        return tuple(np.concatenate(part) for part in zip(*parts))
    return np.concatenate(parts)
