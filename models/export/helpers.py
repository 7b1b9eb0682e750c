"""What PyTorch has not, as PyTorch code: pieces that ``to_source`` puts in front of a model."""
import re

HELPERS = {
    "Positions": '''class Positions(nn.Module):
    """Adds a learned vector to each step of x (N, T, D)."""
    def __init__(self, length, dimension):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(length, dimension))

    def forward(self, x):
        return x + self.weight[: x.shape[1]]''',
    "Waves": '''class Waves(nn.Module):
    """Adds sines and cosines of the step to x (N, T, D)."""
    def forward(self, x):
        t, d = (torch.arange(n, dtype=torch.float64) for n in x.shape[1:])
        angles = t[:, None] / 10000 ** (d // 2 * 2 / x.shape[2])
        waves = torch.where(d % 2 == 1, angles.cos(), angles.sin())
        return x + waves.to(x)''',
    "SelfAttention": '''class SelfAttention(CrossAttention):
    def forward(self, x):
        return super().forward(x, x)''',
    "CrossAttention": '''class CrossAttention(nn.MultiheadAttention):
    """A mask (N, Tq, Tk) is True where a query may look at a key."""
    def __init__(self, dimension, heads, causal=False):
        super().__init__(dimension, heads, batch_first=True)
        self.causal = causal

    def forward(self, query, memory, mask=None):
        Ws, bs = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            F.linear(x, W, b).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for x, W, b in zip((query, memory, memory), Ws, bs)
        )
        mask = None if mask is None else mask[:, None]
        if self.causal:
            past = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril()
            mask = past if mask is None else mask & past
        return self.out_proj(attention(q, k, v, mask).transpose(1, 2).flatten(2))''',
    "attention": '''def attention(q, k, v, mask=None):
    """softmax(q kT / sqrt(D)) v; a query that may look at nothing gives zeros."""
    if mask is None:
        return F.scaled_dot_product_attention(q, k, v)
    unseen = ~mask.any(-2)[..., None]
    k, v = k.masked_fill(unseen, 0), v.masked_fill(unseen, 0)
    s = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~mask, torch.finfo(q.dtype).min)
    return s.softmax(-1).masked_fill(~mask, 0) @ v''',
    "over_time": '''def over_time(rnn, x, mask=None, reverse=False):
    """All h (N, T, H) and the last state; where the mask is False the state stays, and h is 0."""
    if reverse:
        x, mask = x.flip(1), None if mask is None else mask.flip(1)
    if mask is None:
        y, state = rnn(x)
    else:
        step = mask[..., None]
        order = (~mask).long().argsort(dim=1, stable=True)        # the steps that count come first
        x = x.masked_fill(~step, 0).take_along_dim(order[..., None], 1)
        x = nn.utils.rnn.pack_padded_sequence(
            x, mask.sum(1).clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        y, state = rnn(x)
        y, _ = nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=mask.shape[1])
        y = y.take_along_dim(order.argsort(1)[..., None], 1).masked_fill(~step, 0)
        some = mask.any(1)[:, None]
        state = tuple(s * some for s in state) if isinstance(state, tuple) else state * some
    return (y.flip(1) if reverse else y), state''',
    "last_step": '''def last_step(x, mask):
    """The last step of each sequence (N, T, D) where the mask is True, zeros without any."""
    last = mask.shape[1] - 1 - mask.flip(1).long().argmax(1)
    return x[torch.arange(len(x)), last] * mask.any(1)[:, None]''',
    "same": '''def same(convolution, x):
    """For as many places as there are pixels, over the stride and rounded up."""
    pads = []
    for n, k, s, d in zip(x.shape[2:], convolution.kernel_size, convolution.stride,
                          convolution.dilation):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        pads = [total // 2, total - total // 2, *pads]           # F.pad wants the last axis first
    return convolution(F.pad(x, pads))''',
}


def needed(text: str) -> list[str]:
    """The helpers that a text names, and those that they name, each after what it needs."""
    found: list[str] = []
    for name, code in HELPERS.items():
        if re.search(rf"\b{name}\(|\({name}\)", text):
            more = [*needed(re.sub(rf"^(class|def) {name}", "", code)), code]
            found += [one for one in more if one not in found]
    return found
