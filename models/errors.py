"""Errors that arise inside a model, as its user should see them."""
from types import TracebackType


def note(error, model, traceback):
    """Add a note to an error: the layer in which it arose, which the model's loop calls
    ``layer``."""
    while traceback is not None:
        here, traceback = traceback.tb_frame.f_locals, traceback.tb_next
        below = traceback.tb_frame.f_locals.get("self") if traceback else None
        if here.get("self") is model and "layer" in here and below is not model:
            for i, layer in enumerate(model.layers):
                if layer is here["layer"]:
                    kind = type(layer).__name__
                    error.add_note(f"in layer {i} of {type(model).__name__}: {kind}")
            return


def plainly(error):
    """Take this package's frames out of an error's traceback: those of other code are left."""
    kept, frames, traceback = None, [], error.__traceback__
    while traceback is not None:
        frames.append(traceback)
        traceback = traceback.tb_next
    for one in reversed(frames):
        if not one.tb_frame.f_globals.get("__name__", "").startswith("chainrule."):
            kept = TracebackType(kept, one.tb_frame, one.tb_lasti, one.tb_lineno)
    error.__traceback__ = kept
