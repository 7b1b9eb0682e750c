"""Layers that keep what they have learned while the others learn."""
from ..common import checks
from ..common.layer import Frozen, held, walk
from ..common.sharing import address


class Arrays(list):
    """A model's params or grads: a list that knows which of them an optimizer leaves alone."""
    holders = ()                   # (place in the list, a layer that has the array there)
    known: tuple[object, list[int]] = None, []     # what ``frozen`` was, and as of which change

    @property
    def frozen(self):
        """The places of the arrays that a frozen layer has."""
        if self.known[0] is not Frozen.changed:
            places = [k for k, layer in self.holders if getattr(layer, "frozen", False)]
            self.known = Frozen.changed, places
        return self.known[1]

    def hold(self, holders):
        self.holders, self.known = holders, (None, [])


def own(layer):
    """The parameters of a layer that are not those of a layer inside it."""
    inside = {address(p) for inner in walk(layer) if inner is not layer
              for p in getattr(inner, "params", ())}
    return [p for p in getattr(layer, "params", ()) if address(p) not in inside]


def holders(params, layers):
    """(k, layer) for each layer, at any depth, that has params[k] as its own."""
    places = {address(p): k for k, p in enumerate(params)}
    inner = {id(part): part for layer in layers for part in walk(layer)}
    return [(places[address(p)], part) for part in inner.values() for p in own(part)
            if address(p) in places]


def learns(layer):
    """Whether a layer, or one inside it, has parameters and is not frozen."""
    return any(own(part) and not getattr(part, "frozen", False) for part in walk(layer))


def chosen(model, layers, who):
    """The layers given or named, and all inside them."""
    named = {path: layer for path, layer in held(model) if path}
    known = {id(model): model} | {id(layer): layer for layer in named.values()}
    for given in layers:
        layer = named.get(given) if isinstance(given, str) else known.get(id(given))
        if layer is None:
            names = ", ".join(map(repr, list(named)[:9])) + ", ..." * (len(named) > 9)
            raise ValueError(checks.wrong(
                who, "what to freeze", f"be layers of this model or their names, {names}",
                repr(given)))
        yield from walk(layer)
