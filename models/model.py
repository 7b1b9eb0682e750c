"""What every network of layers has in common: paired lists, loss and penalty, copies, files,
pictures."""
from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..common import checks
from ..common.engine import threads
from ..common.freezing import set_frozen
from ..common.layer import Layer, reset_states, walk
from ..common.types import ArrayLike, Axes, Computes, Inputs, PathLike, Penalty
from . import saving
from .freezing import chosen
from .sharing import Parameters, checked, relist

if TYPE_CHECKING:
    from .summary import Profile, Summary


class Model(Layer):
    """A network of layers that is itself a layer. A subclass says how values run through it:
    ``forward``, ``backward`` and ``predict`` as in sequential.py, the first two within a Pass.

    ``params``, ``grads``: the lists over all layers, an array that layers share listed once.
    """

    guarded = False
    loss: Any
    _training = True
    _frozen: list[int] | None = None    # the frozen parameters when ``find_lowest`` last looked
    _lowest: Sequence[Any] = ()         # layers whose inputs' gradients only a user may want

    def __init__(
        self, layers: Sequence[Computes], loss: Any = None, penalty: Penalty | None = None
    ) -> None:
        super().__init__()
        if not layers:
            raise ValueError(f"{type(self).__name__}: a model needs at least one layer")
        self._check_part("loss", loss, "SoftmaxWithLoss()", "forward", "connect")
        self._check_part("penalty", penalty, "L2(0.01)", "add_gradients")
        if penalty is not None and getattr(loss, "reduction", None) == "none":
            raise ValueError(checks.wrong(type(self).__name__, "penalty",
                                          'be None with a loss of reduction="none"', repr(penalty)))
        self.layers, self.loss, self.penalty = checked(layers), loss, penalty
        self._parameters = Parameters(self.layers)
        self.params, self.grads = self._parameters.params, self._parameters.grads
        self.names = tuple(self._parameters.names)
        self.output = None  # of the last forward, so that metrics need no second one
        self._forward_only = not all(hasattr(layer, "backward") and hasattr(layer, "grads")
                                     for layer in self.layers)
        self._ready = None        # what backward may follow: "output" or "loss"
        self._own_threads = any(p.size >= threads.SMALL or p.ndim > 2 for p in self.params)

    def _check_part(self, name, part, example, *methods):
        """TypeError unless the loss or the penalty is None or an object with one of the methods."""
        if isinstance(part, type):
            raise TypeError(checks.wrong(type(self).__name__, name,
                                         f"be an object, as in {name}={part.__name__}(...)",
                                         f"the class {part.__name__}"))
        if part is not None and not any(hasattr(part, method) for method in methods):
            raise TypeError(
                checks.wrong(type(self).__name__, name,
                             f"be None or an object, as in {name}={example}", repr(part)))

    @property
    def training(self) -> bool:
        """True while training; setting it sets every layer inside."""
        return self._training

    @training.setter
    def training(self, flag: bool) -> None:
        self._training = flag
        for layer in walk(self):
            if layer is not self and hasattr(layer, "training"):
                layer.training = flag and not getattr(layer, "frozen", False)

    def freeze(self, *layers: Any) -> None:
        """Let layers keep what they have learned, while the others learn.

        An optimizer leaves their parameters as they are, and backward ends at the lowest layer that
        learns. They compute as in ``predict``: BatchNorm with its running statistics, which stay,
        and Dropout drops nothing. ``layers``: layers of this model or their names, such as ``"0"``,
        each with all inside it.

        >>> from chainrule.models import MLP
        >>> model = MLP([2, 3, 3], rng=0)
        >>> model.freeze("1")                          # layer 0 is a Flatten
        >>> loss = model.forward([[1.0, 2.0]], [1])
        >>> model.backward()
        >>> [bool(g.any()) for g in model.grads]
        [False, False, True, True]
        """
        set_frozen(self, chosen(self, layers, f"{type(self).__name__}.freeze"), True)

    def unfreeze(self, *layers: Any) -> None:
        """Let these layers learn again; without arguments, all."""
        set_frozen(self, chosen(self, layers or (self,), f"{type(self).__name__}.unfreeze"), False)

    def find_lowest(self) -> None:
        """Find out where backward ends; called by the first one, and after layers were frozen or
        unfrozen."""

    def loss_of(self, y: ArrayLike, t: ArrayLike, weight: ArrayLike | None = None) -> float:
        """The loss of outputs y, a float, penalty included; ``weight``: a number for each row."""
        return self.total(self.loss.forward(*weighed(self.loss, y, t, weight)))

    def total(self, loss: float) -> float:
        return loss if self.penalty is None else loss + self.penalty.loss(self.params)

    def output_gradient(self, dout: Any) -> Any:
        """dL/dy: after ``forward(x, t)`` the loss layer's, else what the caller gave."""
        if self._ready != "loss":
            return dout
        if dout is None and getattr(self.loss, "reduction", None) == "none":
            return self.loss.backward()
        return self.loss.backward(1.0 if dout is None else dout)

    def reset_states(self) -> None:
        """Let every recurrent layer inside begin anew, as at the start of a text."""
        reset_states(self)

    def predictive_layers(self) -> Sequence[Any]:
        """The layers on the way to the output, with which a file has to agree."""
        return self.layers

    def summary(self, *inputs: ArrayLike) -> Summary:
        """A table, text and HTML: output shape, parameters, cached bytes and multiply-adds per
        layer, for one forward of these inputs (with the targets after them, the loss too). The
        model stays as it is."""
        from .summary import summary
        return summary(self, *inputs)

    def profile(self, *inputs: ArrayLike, steps: int = 5) -> Profile:
        """Where the time of a training step goes, layer by layer, for these inputs and targets: a
        ``Profile``, a table, and a picture by ``.plot()``. ``steps``: how many are timed, after one
        that is not. The model stays as it is. TypeError without targets or a loss."""
        from .summary import profile
        return profile(self, *inputs, steps=steps)

    def draw(self, ax: Axes | None = None, values: bool = False, x: Inputs | None = None) -> Axes:
        """A picture on Axes; ``x`` adds shapes, ``values`` a traced Graph's values and gradients.
        See ``plotting.draw``."""
        from ..plotting import drawing
        return drawing.draw(self, ax, values, x)

    def to_svg(self, values: bool = False, x: Inputs | None = None) -> str:
        """The picture that ``draw`` paints, as the text of an SVG file."""
        from ..plotting import drawing
        return drawing.to_svg(self, values, x)

    def _repr_svg_(self):
        from ..plotting import drawing
        return drawing.for_notebook(self, "svg")

    # JupyterLab shows no SVG in a notebook that it does not trust
    def _repr_png_(self):
        from ..plotting import drawing
        return drawing.for_notebook(self, "png")

    def save(self, path: PathLike) -> None:
        """Write parameters and buffers to a safetensors file: arrays as ``"3.W"`` (layer 3's W),
        ``"3.params.0"`` for a class that names none, ``"3.running_mean"`` for a buffer; beside
        them, as text, a random generator's state, which layers are frozen, the layers' classes and
        options such as the number of heads. OSError if ``path`` cannot be written, TypeError for a
        buffer that is not an array, number or generator, RuntimeError if parameters or layers were
        replaced."""
        saving.save(self, path)

    def load(self, path: PathLike) -> None:
        """Read what ``save`` wrote into this model's own arrays, and freeze the layers that were
        frozen, and no others; an older file, which does not say, leaves that as it is. ValueError,
        with nothing changed, if that is not a whole file of ``save`` or if the layers' classes (by
        name), options, or names and shapes of arrays differ."""
        saving.load(self, path)

    def to_onnx(self, path: PathLike, *examples: ArrayLike, loss: bool = False) -> None:
        """Write what ``predict`` computes as an ONNX file, which onnxruntime and others run without
        chainrule. Needs onnx-ir, the extra ``onnx``.

        - examples: inputs, whose numbers of axes count and nothing else, for a model whose layers
          take several, such as an MLP for images. None: the fewest axes that all layers take;
        - loss: True: the targets are inputs too, labels as int64, and the output is the ``loss``,
          penalty included, in evaluation mode.

        Inputs have their names in a Graph, otherwise ``x`` (with ``t``, and with a third example
        ``x_mask``, of a Seq2Seq); ids are int64, masks booleans, the rest the model's dtype. The
        output is ``y``, of several ``y1``, ``y2``, ... The batch axis, and any that no weight
        fixes, may have any size. The state that recurrent layers carry on is left out.

        Raises TypeError or ValueError for a layer that cannot be written, with its number; see
        ``chainrule.models.export.register_exporter``. onnxruntime has no convolutions, GroupNorm
        or recurrent layers in float64: ``model.astype(np.float32).to_onnx(path)``."""
        # By name: what exports knows the models, which are made of this class.
        export = importlib.import_module(".export.onnx", __package__)
        export.to_onnx(self, path, *examples, loss=loss)

    def __getstate__(self):
        return {**super().__getstate__(), "output": None, "_ready": None, "_parameters": None}

    def __setstate__(self, state):
        super().__setstate__(state)
        relist(self)

    def __repr__(self):
        inner = "".join(f"  {i}: {layer!r}".replace("\n", "\n  ") + "\n"
                        for i, layer in enumerate(self.layers))
        ends = "".join(f"  {name}: {getattr(self, name)!r}\n" for name in ("loss", "penalty")
                       if getattr(self, name) is not None)
        return f"{type(self).__name__}(\n{inner}{ends})"


def weighed(loss, y, t, weight):
    """What the loss layer is given: outputs, targets and, where there are any, weights."""
    if weight is None:
        return y, t
    if not checks.fitting(loss.forward, (y, t, weight)):
        raise TypeError(f"{type(loss).__name__}: its forward takes no weights; they are its third "
                        "input: forward(self, x, t, weight=None)")
    return y, t, weight
