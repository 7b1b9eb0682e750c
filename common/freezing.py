"""Which layers are frozen: asked, kept in files, and set again."""
from .layer import Frozen, held


def frozen(model):
    """The paths of the frozen layers, "" being the model itself."""
    return [path for path, layer in held(model) if getattr(layer, "frozen", False)]


def set_frozen(model, layers, flag):
    """Freeze or unfreeze layers of a model, which are in training mode or not accordingly."""
    for layer in layers:
        layer.frozen = flag
        if layer is not model and hasattr(layer, "training"):
            layer.training = getattr(model, "training", True) and not flag
    Frozen.changed = object()             # for layers without the base class


def freeze_exactly(model, paths):
    """Freeze the layers at these paths, of those that there are, and no others."""
    if frozen(model) != list(paths):
        layers = dict(held(model))
        set_frozen(model, [layers[path] for path in layers if path in paths], True)
        # then these: within a frozen layer one may learn
        set_frozen(model, [layers[path] for path in layers if path not in paths], False)
