"""What PyTorch's recurrent layers compute, for tests that run without it: python -m tests.make_torch_sequences

Writes tests/layers/sequences.npz: RNN, LSTM and GRU in both directions over a sweep of sizes, with first states, sequences of
different lengths, and a gradient that arrives at the last state. All in float64. Made with PyTorch 2.13.
"""
import itertools

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.layers.test_recurrent import GATES, PATH, SIZES, STATES, shapes


def reference(kind, sizes, reverse):
    """One case in one vector: all that goes in, and what PyTorch's layer, run over a packed sequence, makes of it."""
    (N, T, D, H), G = sizes, GATES[kind]
    rng = np.random.default_rng([7, *kind.encode(), *sizes, reverse])

    def draw(*shape):       # float32 numbers, which compress better
        return (rng.standard_normal(shape) * 0.5).astype(np.float32).astype(np.float64)
    given = {"Wx": draw(D, G * H), "Wh": draw(H, G * H), "bx": draw(G * H), "bh": draw(G * H), "x": draw(N, T, D),
             "lengths": rng.integers(1, T + 1, N), "dy": draw(N, T, H),
             "state": draw(STATES[kind], N, H), "dlast": draw(STATES[kind], N, H)}
    layer = getattr(torch.nn, kind)(D, H, batch_first=True, bidirectional=reverse, dtype=torch.float64)
    way = "_l0_reverse" if reverse else "_l0"
    own = {ours: getattr(layer, theirs + way) for ours, theirs in
           {"Wx": "weight_ih", "Wh": "weight_hh", "bx": "bias_ih", "bh": "bias_hh"}.items()}
    with torch.no_grad():
        for name, p in own.items():
            p.copy_(torch.from_numpy(given[name]).mT if p.ndim > 1 else torch.from_numpy(given[name]))
    x = torch.from_numpy(given["x"]).requires_grad_()
    first = [torch.from_numpy(np.stack([s] * (1 + reverse))).requires_grad_() for s in given["state"]]
    packed = pack_padded_sequence(x, torch.from_numpy(given["lengths"]), batch_first=True, enforce_sorted=False)
    y, last = layer(packed, tuple(first) if kind == "LSTM" else first[0])
    y = pad_packed_sequence(y, batch_first=True, total_length=T)[0][..., -H:]
    last = torch.stack([s[-1] for s in (last if kind == "LSTM" else [last])])
    ((y * torch.from_numpy(given["dy"])).sum() + (last * torch.from_numpy(given["dlast"])).sum()).backward()
    results = {**given, "y": y.detach(), "last": last.detach(), "dx": x.grad, "dstate": torch.stack([s.grad[-1] for s in first]),
               **{f"d{name}": p.grad.mT if p.ndim > 1 else p.grad for name, p in own.items()}}
    assert {name: np.shape(results[name]) for name in results} == shapes(kind, sizes)
    return np.concatenate([np.ravel(results[name]) for name in shapes(kind, sizes)])


if __name__ == "__main__":
    cases = itertools.product(GATES, SIZES, (False, True))
    np.savez_compressed(PATH, **{f"{kind} {sizes} {reverse}": reference(kind, sizes, reverse) for kind, sizes, reverse in cases})
