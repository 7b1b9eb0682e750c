"""What the Trainer is given: every mistake is a sentence that says what to pass instead."""
import warnings

import numpy as np

from ..common import checks
from .batches import samples

BATCHES = "as in batches=lambda: text_batches(ids)"
COLUMNS = {"epoch", "step", "loss", "lr", "grad_norm"}       # of the history, beside the metrics
NAMES = 'a dict gives names, as in metrics={"top_1": f, "top_5": g}'
PAIR = "train_test_split makes it; several inputs are a tuple, as in ((x, t, x_mask), t_mask)"


def ask(fits, who, name, expected, got, hint=""):
    """TypeError unless it ``fits``."""
    if not fits:
        raise TypeError(checks.wrong(who, name, expected, kind(got), hint))


def kind(value):
    """What a value is, in a word or two."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of length {len(value)}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return repr(value) if isinstance(value, (str, int, float, type(None))) else type(value).__name__


def parts(model, optimizer):
    for name, value, method in (("model", model, "forward"), ("optimizer", optimizer, "update")):
        made = f"make one: {value.__name__}(...)" if isinstance(value, type) else "Trainer(model, optimizer) is the order"
        ask(hasattr(value, method) and not isinstance(value, type), "Trainer", name, f"be an object with {method}", value, made)


def functions(who, name, given, example):
    """A list or tuple of functions, as a tuple."""
    ask(isinstance(given, (list, tuple)), who, name, "be a list or tuple of functions", given, f"as in {name}={example}")
    for i, function in enumerate(given):
        ask(callable(function), who, f"{name}[{i}]", "be a function", function, f"as in {name}={example}")
    return tuple(given)


def named(metrics):
    """The metrics as a dict, each under its name in the history: its key if they are a dict, else its own."""
    names, given = (list(metrics), list(metrics.values())) if isinstance(metrics, dict) else (None, metrics)
    metrics = functions("Trainer", "metrics", given, "(accuracy,)")
    if names is None:
        bare = [getattr(metric, "func", metric) for metric in metrics]              # func: inside a functools.partial
        names = [getattr(function, "__name__", type(function).__name__) for function in bare]
    for i, name in enumerate(names):
        ask(isinstance(name, str), "Trainer", "metrics", "have names for keys", name, NAMES)
        first = names.index(name)
        if first < i:
            raise ValueError(checks.wrong("Trainer", f"metrics[{first}] and metrics[{i}]", "have two names in the history",
                                          f"{name!r} for both", NAMES))
        if name in COLUMNS or name.startswith("val_"):
            raise ValueError(checks.wrong("Trainer", f"metrics[{i}]", "have a name that the history has no other use for",
                                          repr(name), NAMES))
    return dict(zip(names, metrics))


def one_number(who, name, value):
    """What a metric returned, as a Python float."""
    a = checks.as_array(value)
    ask(a.ndim == 0 and a.dtype.kind in "biuf", who, f"the metric {name}", "return one number", value,
        "what is no number can be had after training, as in confusion_matrix(model.predict(x), t)")
    return float(a)


def loss_of(who, loss):
    """What a model's forward returned for a loss, as a Python float."""
    a = checks.as_array(loss)
    ask(a.ndim == 0 and a.dtype.kind in "iuf", who, "the loss that model.forward returns", "be one number", loss,
        "if an input is missing, the targets were taken for it: several inputs are a tuple, as in x=(x1, x2)")
    return float(a)


def alone(**arguments):
    """Refuse what belongs to x where batches stand in its place."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(checks.wrong("Trainer.fit", name, "be left out beside batches=", kind(value),
                                          "each batch is a tuple (x, ..., t) and comes as the function yields it"))


def scanned(x, t, x_name="x", t_name="t", who="Trainer.fit"):
    """The inputs and the targets as a flat tuple of arrays, refused if one of them holds NaN or an infinity."""
    if t is None:
        raise TypeError(f"{who}: {t_name} is missing; the targets of x are needed for a loss")
    if isinstance(x, tuple) and any(isinstance(a, (tuple, int, float)) for a in x):
        raise TypeError(checks.wrong(who, x_name, "be an array", "a tuple of rows",
                                     f"a tuple stands for several inputs; of rows make one array: {x_name}=np.array({x_name})"))
    if isinstance(x, list) and len(x) != len(t) and any(isinstance(a, np.ndarray) and a.shape[:1] == np.shape(t)[:1] for a in x):
        raise TypeError(checks.wrong(who, x_name, "be an array, or a tuple of several inputs", f"a list of {len(x)} arrays",
                                     f"several inputs are a tuple: {x_name}=tuple({x_name})"))
    inputs = {f"{x_name}[{i}]": a for i, a in enumerate(x)} if isinstance(x, tuple) else {x_name: x}
    ask(inputs, who, x_name, "hold at least one input", x)
    arrays = samples(who, **inputs, **{t_name: t})
    for name, a in zip([*inputs, t_name], arrays):
        checks.finite(who, name, a)
    return tuple(arrays)


def validation(data):
    """validation_data as (x, t), or None."""
    if data is not None:
        ask(isinstance(data, (tuple, list)) and len(data) == 2, "Trainer.fit", "validation_data", "be (x, t)", data, PAIR)
        scanned(*data, "validation x", "validation t")
    return data


def epoch_of(batches, epoch):
    """The batches that the function ``batches`` of a user yields in an epoch."""
    made, i = batches(), 0
    ask(hasattr(made, "__iter__"), "Trainer.fit", "batches()", "return the batches of an epoch or yield them", made, BATCHES)
    for i, batch in enumerate(made, 1):
        if i == 1_000_001:
            warnings.warn("Trainer.fit: an epoch of batches() has passed a million batches and goes on; if it never ends, "
                          "steps_per_epoch= says how many make an epoch", UserWarning, stacklevel=2)
        ask(isinstance(batch, (tuple, list)) and len(batch) > 1, "Trainer.fit", f"batch {i} of batches()",
            "be a tuple (x, t), inputs first", batch)
        yield batch
    if not i:
        raise ValueError(f"Trainer.fit: batches() yielded nothing in epoch {epoch}; it must return a new iterator each time, "
                         f"{BATCHES}")


def ends(i, answer):
    """Whether the ``answer`` of callback i ends the training."""
    ask(answer is None or isinstance(answer, (bool, np.bool_)), "Trainer.fit", f"callbacks[{i}]",
        "return True to end the training, else False or None", answer)
    return bool(answer)
