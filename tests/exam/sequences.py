"""Convolution, pooling, sequences, attention, embeddings, whole models; b is the set of mistakes that a factory plants."""
import numpy as np

CASES = []
META = {}


def R(seed):
    return np.random.default_rng(seed)


def case(codes, name, fac, bugs=''):
    bugs = frozenset(bugs.split())
    META[name] = (fac, bugs)
    CASES.append((codes, name, lambda: fac(bugs)))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z, axis=-1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


# ------------------------------------------------------------------ convolution
def conv_loops(b):
    class Convolution:
        def __init__(self, W, bias, stride, pad, n):
            self.stride, self.pad = stride, pad
            self.params = [W, bias]
            self.grads = [np.zeros_like(W), np.zeros_like(bias)]
            if 'bs' in b:
                self.grads[1] = np.zeros((n, bias.size))

        def forward(self, x):
            W, bias = self.params
            F, C, k, _ = W.shape
            p, s = self.pad, self.stride
            xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
            OH = (xp.shape[2] - k) // s + 1
            OW = (xp.shape[3] - k) // s + 1
            out = np.zeros((x.shape[0], F, OH, OW))
            for i in range(OH):
                for j in range(OW):
                    patch = xp[:, :, i * s:i * s + k, j * s:j * s + k]
                    out[:, :, i, j] = np.tensordot(patch, W, ([1, 2, 3], [1, 2, 3])) + bias
            self.xp = xp
            return out

        def backward(self, dout):
            W, bias = self.params
            k, p, s = W.shape[2], self.pad, self.stride
            dxp = np.zeros_like(self.xp)
            dW = np.zeros_like(W)
            Wb = W[:, :, ::-1, ::-1] if 'flip' in b else W
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    g = dout[:, :, i, j]
                    sl = (slice(None), slice(None), slice(i * s, i * s + k), slice(j * s, j * s + k))
                    dW += np.tensordot(g, self.xp[sl], (0, 0))
                    if 'ov' in b:
                        dxp[sl] = np.tensordot(g, Wb, (1, 0))
                    else:
                        dxp[sl] += np.tensordot(g, Wb, (1, 0))
            db = dout.sum(axis=(0, 2, 3))
            if 'div' in b:
                db = dout.sum(axis=(2, 3)).mean(axis=0)
            if 'bs' in b:
                db = dout.sum(axis=(2, 3))
            if 'far' in b:
                dW = np.broadcast_to(dW.sum(axis=1, keepdims=True), W.shape)
            if 'dWflip' in b:
                dW = dW[:, :, ::-1, ::-1]
            if 'acc' in b:
                self.grads[0] += dW
            elif 'reb' in b:
                self.grads = [dW, db]
            else:
                self.grads[0][...] = dW
            if 'reb' not in b and 'nw' not in b:
                self.grads[1][...] = db
            H, Wd = dxp.shape[2], dxp.shape[3]
            return dxp[:, :, p:H - p, p:Wd - p]

    r = R(1)
    return Convolution(r.normal(size=(4, 2, 3, 3)), r.normal(size=4), 2 if 's1' not in b else 1, 1, 5), (r.normal(size=(5, 2, 7, 5)),)


case((), 'conv loops stride 2 pad 1', conv_loops)
case((), 'conv loops stride 1 pad 1', conv_loops, 's1')
case('overlap-overwritten', 'conv loops scatter', conv_loops, 'ov')
case('flipped-kernel', 'conv loops kernel', conv_loops, 'flip s1')
case('flipped-kernel', 'conv loops weight gradient', conv_loops, 'dWflip')
case('missing-batch-sum', 'conv loops bias a', conv_loops, 'bs')
case('divided-by-N', 'conv loops bias b', conv_loops, 'div')
case('summed-too-far', 'conv loops channels', conv_loops, 'far')
case('accumulates', 'conv loops twice', conv_loops, 'acc')
case('rebound-grads', 'conv loops list', conv_loops, 'reb')
case(('flipped-kernel', 'divided-by-N'), 'pair conv loops 1', conv_loops, 'flip div')
case(('overlap-overwritten', 'not-written'), 'pair conv loops 2', conv_loops, 'ov nw')
case(('overlap-overwritten', 'summed-too-far'), 'pair conv loops 3', conv_loops, 'ov far')


def conv_im2col(b):
    class Conv2d:
        def __init__(self, Wm, bias, k):
            self.k = k
            self.Wm, self.b = Wm, bias
            self.params = [self.Wm, self.b]
            self.grads = [np.zeros(Wm.shape), np.zeros(bias.shape)]
            self.cache = {}

        def forward(self, x):
            N, C, H, W = x.shape
            k = self.k
            OH, OW = H - k + 1, W - k + 1
            col = np.empty((N, C, k, k, OH, OW))
            for y in range(k):
                for z in range(k):
                    col[:, :, y, z] = x[:, :, y:y + OH, z:z + OW]
            col = col.transpose(0, 4, 5, 1, 2, 3).reshape(N * OH * OW, -1)
            out = col @ self.Wm + self.b
            self.cache = dict(shape=x.shape, col=col, oh=OH, ow=OW)
            return out.reshape(N, OH, OW, -1).transpose(0, 3, 1, 2)

        def backward(self, dout):
            N, C, H, W = self.cache['shape']
            k, OH, OW = self.k, self.cache['oh'], self.cache['ow']
            F = self.Wm.shape[1]
            if 'rs' in b:
                d2 = dout.reshape(-1, F)
            else:
                d2 = dout.transpose(0, 2, 3, 1).reshape(-1, F)
            self.grads[0][...] = self.cache['col'].T @ d2
            self.grads[1][...] = -d2.sum(0) if 'neg' in b else d2.sum(0)
            dcol = d2 @ (self.Wm if 'T' in b else self.Wm.T)
            if 'dcolrs' in b:
                dcol = dcol.reshape(N, C, k, k, OH, OW)
            else:
                dcol = dcol.reshape(N, OH, OW, C, k, k).transpose(0, 3, 4, 5, 1, 2)
            dx = np.zeros((N, C, H, W))
            for y in range(k):
                for z in range(k):
                    if 'ov' in b:
                        dx[:, :, y:y + OH, z:z + OW] = dcol[:, :, y, z]
                    else:
                        dx[:, :, y:y + OH, z:z + OW] += dcol[:, :, y, z]
            return dx

    r = R(2)
    F = 8 if 'T' in b else 5
    return Conv2d(r.normal(size=(8, F)), r.normal(size=F), 2), (r.normal(size=(4, 2, 4, 5)),)


case((), 'im2col conv', conv_im2col)
case('wrong-reshape', 'im2col conv dout', conv_im2col, 'rs')
case('wrong-reshape', 'im2col conv dcol', conv_im2col, 'dcolrs')
case('overlap-overwritten', 'im2col conv col2im', conv_im2col, 'ov')
case('missing-transpose', 'im2col conv W', conv_im2col, 'T')
case(('overlap-overwritten', 'wrong-sign'), 'pair im2col 1', conv_im2col, 'ov neg')
case(('missing-transpose', 'wrong-sign'), 'pair im2col 2', conv_im2col, 'T neg')


def conv1d(b):
    class Base:
        def __init__(self):
            self.params, self.grads = [], []

        def add(self, a):
            self.params.append(a)
            self.grads.append(np.zeros_like(a))
            return a

    class TemporalConv(Base):
        """channels last, dilated, followed by tanh"""
        def __init__(self, W, bias, d):
            super().__init__()
            self.W, self.bias, self.d = self.add(W), self.add(bias), d

        def forward(self, x):
            K = len(self.W)
            self.To = x.shape[1] - (K - 1) * self.d
            z = sum(np.einsum('ntc,cf->ntf', x[:, k * self.d:k * self.d + self.To], self.W[k]) for k in range(K)) + self.bias
            y = np.tanh(z)
            self.saved = (x, z, y)
            return y

        def backward(self, dout):
            x, z, y = self.saved
            K, d, To = len(self.W), self.d, self.To
            if 'nolocal' in b:
                dz = dout
            elif 'aty' in b:
                dz = dout * (1 - np.tanh(y) ** 2)
            elif 'inpl' in b:
                dout *= 1 - y ** 2
                dz = dout
            else:
                dz = dout * (1 - y ** 2)
            dx = np.zeros_like(x)
            for k in range(K):
                sl = slice(k * d, k * d + To)
                self.grads[0][k] = np.einsum('ntc,ntf->cf', x[:, sl], dz)
                if 'lost' in b and k == K - 1:
                    continue
                Wk = self.W[K - 1 - k] if 'flip' in b else self.W[k]
                if 'ov' in b:
                    dx[:, sl] = np.einsum('ntf,cf->ntc', dz, Wk)
                else:
                    dx[:, sl] += np.einsum('ntf,cf->ntc', dz, Wk)
            self.grads[1][...] = dz.mean((0, 1)) if 'div' in b else (dz.sum() if 'far' in b else dz.sum((0, 1)))
            return dx

    r = R(3)
    return TemporalConv(r.normal(size=(3, 2, 5)) * .6, r.normal(size=5) * .3, 2), (r.normal(size=(4, 9, 2)),)


case((), 'temporal conv tanh', conv1d)
case('missing-local-derivative', 'temporal conv tanh a', conv1d, 'nolocal')
case('wrong-local-derivative', 'temporal conv tanh b', conv1d, 'aty')
case('mutates-input', 'temporal conv tanh c', conv1d, 'inpl')
case('flipped-kernel', 'temporal conv tanh d', conv1d, 'flip')
case('summed-too-far', 'temporal conv tanh e', conv1d, 'far')
case(('flipped-kernel', 'summed-too-far'), 'pair temporal conv 1', conv1d, 'flip far')
case(('overlap-overwritten', 'divided-by-N'), 'pair temporal conv 2', conv1d, 'ov div')


def depthwise(b):
    class DepthwiseSeparable:
        """depthwise 3x3 (C,k,k) then pointwise (F,C)"""
        def __init__(self, D, P):
            self.params = [D, P]
            self.grads = [np.zeros_like(D), np.zeros_like(P)]

        def forward(self, x):
            D, P = self.params
            k = D.shape[1]
            self.x = x
            OH, OW = x.shape[2] - k + 1, x.shape[3] - k + 1
            h = np.zeros(x.shape[:2] + (OH, OW))
            for i in range(k):
                for j in range(k):
                    h += x[:, :, i:i + OH, j:j + OW] * D[:, i, j][None, :, None, None]
            self.h = h
            return np.einsum('nchw,fc->nfhw', h, P)

        def backward(self, dout):
            D, P = self.params
            k = D.shape[1]
            OH, OW = dout.shape[2:]
            dP = np.einsum('nfhw,nchw->fc', dout, self.x[:, :, 1:-1, 1:-1] if 'stale' in b else self.h)
            if 'T' in b:
                dh = np.einsum('nfhw,cf->nchw', dout, P)
            else:
                dh = np.einsum('nfhw,fc->nchw', dout, P)
            dx = np.zeros_like(self.x)
            dD = np.zeros_like(D)
            for i in range(k):
                for j in range(k):
                    w = self.x[:, :, i:i + OH, j:j + OW]
                    dD[:, i, j] = (w * dh).sum() if 'far' in b else (w * dh).sum((0, 2, 3))
                    dx[:, :, i:i + OH, j:j + OW] += dh * D[:, i, j].reshape(-1, 1, 1)
            self.grads[0][...] = dD
            if 'nw' not in b:
                self.grads[1][...] = -dP if 'neg' in b else dP
            return dx

    r = R(4)
    C = 3
    F = 3 if 'T' in b else 4
    return DepthwiseSeparable(r.normal(size=(C, 3, 3)), r.normal(size=(F, C))), (r.normal(size=(5, C, 5, 6)),)


case((), 'depthwise separable', depthwise)
case('summed-too-far', 'depthwise separable a', depthwise, 'far')
case('stale-cache', 'depthwise separable b', depthwise, 'stale')
case('missing-transpose', 'depthwise separable c', depthwise, 'T')
case(('summed-too-far', 'wrong-sign'), 'pair depthwise 1', depthwise, 'far neg')


def group_shuffle(b):
    class GroupPointwise:
        """grouped 1x1 conv followed by a channel shuffle"""
        def __init__(self, W):
            self.params = [W]
            self.grads = [np.zeros_like(W)]

        def forward(self, x):
            W, = self.params
            G, F, C = W.shape
            N, _, H, Wd = x.shape
            self.xg = x.reshape(N, G, C, H, Wd)
            y = np.einsum('ngchw,gfc->ngfhw', self.xg, W)
            return y.transpose(0, 2, 1, 3, 4).reshape(N, F * G, H, Wd)

        def backward(self, dout):
            W, = self.params
            G, F, C = W.shape
            N, _, H, Wd = dout.shape
            if 'rs' in b:
                dy = dout.reshape(N, G, F, H, Wd)
            else:
                dy = dout.reshape(N, F, G, H, Wd).swapaxes(1, 2)
            dxg = np.zeros_like(self.xg)
            for g in range(G - 1 if 'lost' in b else G):
                dxg[:, g] = np.einsum('nfhw,fc->nchw', dy[:, g], W[g].T if 'T' in b else W[g])
            for g in range(G):
                gr = np.einsum('nfhw,nchw->fc', dy[:, g], self.xg[:, g])
                self.grads[0][g] = gr / N if 'div' in b else gr
            return dxg.reshape(N, G * C, H, Wd)

    r = R(5)
    F, C = (3, 3) if 'T' in b else (4, 2)
    return GroupPointwise(r.normal(size=(3, F, C))), (r.normal(size=(4, 3 * C, 2, 3)),)


case((), 'grouped pointwise shuffle', group_shuffle)
case('wrong-reshape', 'grouped pointwise shuffle a', group_shuffle, 'rs')
case('lost-branch', 'grouped pointwise shuffle b', group_shuffle, 'lost')
case(('missing-transpose', 'divided-by-N'), 'pair grouped 1', group_shuffle, 'T div')


def deconv(b):
    class Upconv:
        """transposed convolution, stride 2, kernel 3, W (C,F,k,k)"""
        def __init__(self, W, bias, stride=2):
            self.W, self.bias, self.s = W, bias, stride
            self.params = [W, bias]
            self.grads = [W * 0, bias * 0]

        def forward(self, x):
            C, F, k, _ = self.W.shape
            N, _, H, Wd = x.shape
            s = self.s
            y = np.zeros((N, F, (H - 1) * s + k, (Wd - 1) * s + k))
            for i in range(H):
                for j in range(Wd):
                    y[:, :, i * s:i * s + k, j * s:j * s + k] += np.einsum('nc,cfuv->nfuv', x[:, :, i, j], self.W)
            self.x = x
            return y + self.bias[:, None, None]

        def backward(self, dy):
            k, s, x = self.W.shape[2], self.s, self.x
            dx = np.zeros_like(x)
            gW = np.zeros_like(self.W)
            V = self.W[:, :, ::-1, ::-1] if 'flip' in b else self.W
            for i in range(x.shape[2]):
                for j in range(x.shape[3]):
                    p = dy[:, :, i * s:i * s + k, j * s:j * s + k]
                    dx[:, :, i, j] = np.einsum('nfuv,cfuv->nc', p, V)
                    t = np.einsum('nc,nfuv->cfuv', x[:, :, i, j], p)
                    gW = t if 'last' in b else gW + t
            self.grads[0][...] = gW
            self.grads[1][...] = -dy.sum((0, 2, 3)) if 'neg' in b else dy.sum((0, 2, 3))
            return dx

    r = R(6)
    return Upconv(r.normal(size=(2, 4, 3, 3)), r.normal(size=4)), (r.normal(size=(5, 2, 3, 2)),)


case((), 'transposed conv', deconv)
case('flipped-kernel', 'transposed conv a', deconv, 'flip')
case('lost-branch', 'transposed conv b', deconv, 'last')
case('wrong-sign', 'transposed conv c', deconv, 'neg')
case(('flipped-kernel', 'wrong-sign'), 'pair transposed conv', deconv, 'flip neg')


# ------------------------------------------------------------------ pooling, resampling
def maxpool(b):
    class MaxPool:
        def __init__(self, k, s):
            self.k, self.s = k, s

        def forward(self, x):
            k, s = self.k, self.s
            self.x = x
            OH, OW = (x.shape[2] - k) // s + 1, (x.shape[3] - k) // s + 1
            self.out = np.array([[x[:, :, i * s:i * s + k, j * s:j * s + k].max((2, 3)) for j in range(OW)] for i in range(OH)]).transpose(2, 3, 0, 1)
            return self.out.copy()

        def backward(self, dout):
            k, s = self.k, self.s
            dx = np.zeros_like(self.x)
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    w = self.x[:, :, i * s:i * s + k, j * s:j * s + k]
                    m = w == self.out[:, :, i, j][:, :, None, None]
                    if 'inv' in b:
                        m = ~m
                    if 'all' in b:
                        m = np.ones_like(w)
                    g = m * dout[:, :, i, j][:, :, None, None]
                    if 'ov' in b:
                        dx[:, :, i * s:i * s + k, j * s:j * s + k] = g
                    else:
                        dx[:, :, i * s:i * s + k, j * s:j * s + k] += g
            return dx

    r = R(7)
    x = r.permutation(4 * 3 * 7 * 5).reshape(4, 3, 7, 5) * .05 - 9
    return MaxPool(3, 2), (x,)


case((), 'max pool 3/2', maxpool)
case('overlap-overwritten', 'max pool 3/2 a', maxpool, 'ov')
case('inverted-mask', 'max pool 3/2 b', maxpool, 'inv')
case('missing-mask', 'max pool 3/2 c', maxpool, 'all')


def avgpool(b):
    class MeanPool:
        def __init__(self, k):
            self.k = k

        def forward(self, x):
            N, C, H, W = x.shape
            k = self.k
            self.in_shape = x.shape
            return x.reshape(N, C, H // k, k, W // k, k).mean((3, 5))

        def backward(self, dout):
            k = self.k
            d = dout.repeat(k, axis=2).repeat(k, axis=3)
            if 'nodiv' in b:
                return d
            if 'twice' in b:
                return d / k ** 4
            return d / k ** 2

    return MeanPool(3), (R(8).normal(size=(4, 2, 6, 9)),)


case((), 'average pool', avgpool)
case('scaled-by-N', 'average pool a', avgpool, 'nodiv')
case('divided-by-N', 'average pool b', avgpool, 'twice')


def head(b):
    class GlobalPoolHead:
        """global average pooling over H, W (channels last) and an affine, W stored (out, in)"""
        def __init__(self, W, c, n):
            self.params = [W, c]
            self.grads = [np.zeros_like(W), np.zeros_like(c)]
            if 'bs' in b:
                self.grads[0] = np.zeros((n,) + W.shape)

        def forward(self, x):
            self.shape = x.shape
            self.h = x.mean(axis=(1, 2))
            return self.h @ self.params[0].T + self.params[1]

        def backward(self, dout):
            W, c = self.params
            if 'bs' in b:
                self.grads[0][...] = dout[:, :, None] * self.h[:, None, :]
            else:
                self.grads[0][...] = dout.T @ self.h
            self.grads[1][...] = dout.mean(0) if 'div' in b else dout.sum(0)
            dh = dout @ W
            N, H, Wd, C = self.shape
            dx = np.broadcast_to(dh[:, None, None, :], self.shape)
            return dx.copy() if 'nodiv' in b else dx / (H * Wd)

    r = R(9)
    return GlobalPoolHead(r.normal(size=(4, 3)), r.normal(size=4), 5), (r.normal(size=(5, 2, 4, 3)),)


case((), 'global pool head', head)
case('missing-batch-sum', 'global pool head a', head, 'bs')
case('scaled-by-N', 'global pool head b', head, 'nodiv')
case(('scaled-by-N', 'divided-by-N'), 'pair global pool head', head, 'nodiv div')


def upsample(b):
    class Nearest:
        scale = 3

        def forward(self, x):
            return np.kron(x, np.ones((1, 1, self.scale, self.scale)))

        def backward(self, dout):
            s = self.scale
            N, C, H, W = dout.shape
            if 'lost' in b:
                return dout[:, :, ::s, ::s].copy()
            d = dout.reshape(N, C, H // s, s, W // s, s)
            return d.mean((3, 5)) if 'mean' in b else d.sum(axis=(3, 5))

    return Nearest(), (R(10).normal(size=(4, 2, 3, 5)),)


case((), 'nearest upsampling', upsample)
case('lost-branch', 'nearest upsampling a', upsample, 'lost')
case('divided-by-N', 'nearest upsampling b', upsample, 'mean')


def pixelshuffle(b):
    class DepthToSpace:
        def __init__(self, r):
            self.r = r

        def forward(self, x):
            N, Crr, H, W = x.shape
            r = self.r
            self.dims = (N, Crr // r // r, H, W)
            return x.reshape(N, -1, r, r, H, W).transpose(0, 1, 4, 2, 5, 3).reshape(N, -1, H * r, W * r)

        def backward(self, dout):
            N, C, H, W = self.dims
            r = self.r
            if 'rs' in b:
                return dout.reshape(N, C * r * r, H, W)
            return dout.reshape(N, C, H, r, W, r).transpose(0, 1, 3, 5, 2, 4).reshape(N, C * r * r, H, W)

    return DepthToSpace(2), (R(11).normal(size=(4, 8, 3, 2)),)


case((), 'depth to space', pixelshuffle)
case('wrong-reshape', 'depth to space a', pixelshuffle, 'rs')


def permute(b):
    class Transpose:
        def __init__(self, axes):
            self.axes = axes

        def forward(self, x):
            return x.transpose(self.axes) * 1.0

        def backward(self, dout):
            if 'same' in b:
                return dout.transpose(self.axes)
            return dout.transpose(np.argsort(self.axes))

    n = (4, 3, 3, 3) if 'same' in b else (4, 3, 2, 5)
    return Transpose((0, 2, 3, 1)), (R(12).normal(size=n),)


case('missing-transpose', 'NCHW to NHWC', permute, 'same')


def reflectpad(b):
    def f(x):
        return np.concatenate([x[:, 2:0:-1], x, x[:, -2:-4:-1]], axis=1)

    def df(x, dout):
        T = x.shape[1]
        dx = dout[:, 2:2 + T].copy()
        if 'lost' not in b:
            dx[:, 2:0:-1] += dout[:, :2]
            dx[:, -2:-4:-1] += dout[:, 2 + T:]
        return dx

    class ReflectPad1D:
        def forward(self, x):
            self.x = x
            return f(x)

        def backward(self, dout):
            return df(self.x, dout)
    return ReflectPad1D(), (R(13).normal(size=(4, 6, 3)),)


case((), 'reflection padding', reflectpad)
case('lost-branch', 'reflection padding a', reflectpad, 'lost')


def framing(b):
    class Frames:
        """cut a signal into overlapping frames"""
        def __init__(self, n, hop):
            self.n, self.hop = n, hop

        def forward(self, x):
            self.L = x.shape[1]
            self.idx = np.arange(0, self.L - self.n + 1, self.hop)[:, None] + np.arange(self.n)
            return x[:, self.idx]

        def backward(self, dout):
            dx = np.zeros((len(dout), self.L))
            if 'ov' in b:
                dx[:, self.idx] += dout
            else:
                for f, row in enumerate(self.idx):
                    dx[:, row] += dout[:, f]
            return dx

    return Frames(4, 2), (R(14).normal(size=(5, 10)),)


# duplicate fancy indices ARE overlapping windows here
case(frozenset(['overlap-overwritten', 'repeated-index']), 'frames', framing, 'ov')


def concat(b):
    class Join:
        def forward(self, a, c):
            self.n = a.shape[1]
            return np.concatenate([a * sigmoid(a), c ** 2], axis=1)

        def backward(self, dout):
            raise NotImplementedError

    class SwishSquareConcat(Join):
        def forward(self, a, c):
            self.a, self.c = a, c
            return super().forward(a, c)

        def backward(self, dout):
            g, h = dout[:, :self.n], dout[:, self.n:]
            s = sigmoid(self.a)
            da = g * s if 'prod' in b else g * (s + self.a * s * (1 - s))
            dc = h * self.c if 'half' in b else 2 * h * self.c
            if 'nr' in b:
                return da
            return da, dc

    r = R(15)
    return SwishSquareConcat(), (r.normal(size=(4, 2, 3)), r.normal(size=(4, 5, 3)))


case((), 'two-input concat', concat)
case('not-returned', 'two-input concat a', concat, 'nr')
case('factor-half', 'two-input concat b', concat, 'half')
case(('lost-branch', 'factor-half'), 'pair concat', concat, 'prod half')


# ------------------------------------------------------------------ normalisation
def bn2d(b):
    class SpatialBatchNorm:
        def __init__(self, gamma, beta):
            self.gamma, self.beta = gamma, beta
            self.params = [gamma, beta]
            self.grads = [np.zeros_like(gamma), np.zeros_like(beta)]

        def forward(self, x):
            N, C, H, W = x.shape
            v = x.transpose(0, 2, 3, 1).reshape(-1, C)
            mu = v.mean(0)
            xc = v - mu
            std = np.sqrt((xc ** 2).mean(0) + 1e-5)
            xh = xc / std
            self.v, self.xh, self.std, self.shape = v, xh, std, x.shape
            return (self.gamma * xh + self.beta).reshape(N, H, W, C).transpose(0, 3, 1, 2)

        def backward(self, dout):
            N, C, H, W = self.shape
            d = dout.transpose(0, 2, 3, 1).reshape(-1, C)
            self.grads[1][...] = -d.sum(0) if 'neg' in b else d.sum(0)
            self.grads[0][...] = (d * (self.v if 'stale' in b else self.xh)).sum(0)
            g = d * self.gamma
            if 'const' in b:
                dv = g / self.std
            elif 'novar' in b:
                dv = (g - g.mean(0)) / self.std
            else:
                dv = (g - g.mean(0) - self.xh * (g * self.xh).mean(0)) / self.std
            return dv.reshape(N, H, W, C).transpose(0, 3, 1, 2)

    r = R(16)
    return SpatialBatchNorm(r.normal(size=3) + 1.5, r.normal(size=3)), (r.normal(size=(4, 3, 2, 3)) * 1.4 + .6,)


case((), 'spatial batch norm', bn2d)
case('constant-statistics', 'spatial batch norm a', bn2d, 'novar')
case('stale-cache', 'spatial batch norm b', bn2d, 'stale')
case(('constant-statistics', 'wrong-sign'), 'pair spatial batch norm', bn2d, 'const neg')


def groupnorm(b):
    class GN:
        def __init__(self, G, gamma, beta):
            self.G = G
            self.params = [gamma, beta]
            self.grads = [np.zeros_like(gamma), np.zeros_like(beta)]

        def forward(self, x):
            N, C, H, W = x.shape
            xg = x.reshape(N, self.G, -1)
            self.s = 1 / np.sqrt(xg.var(-1, keepdims=True) + 1e-5)
            self.n = (xg - xg.mean(-1, keepdims=True)) * self.s
            return self.n.reshape(x.shape) * self.params[0][:, None, None] + self.params[1][:, None, None]

        def backward(self, dout):
            N = dout.shape[0]
            n4 = self.n.reshape(dout.shape)
            self.grads[0][...] = (dout * n4).sum((0, 2, 3)) / (N if 'div' in b else 1)
            self.grads[1][...] = dout.sum((0, 2, 3))
            g = (dout * self.params[0][None, :, None, None]).reshape(self.n.shape)
            a = g - (0 if 'nomean' in b else g.mean(-1, keepdims=True))
            return ((a - self.n * (g * self.n).mean(-1, keepdims=True)) * self.s).reshape(dout.shape)

    r = R(17)
    return GN(2, r.normal(size=4) + 1.2, r.normal(size=4)), (r.normal(size=(5, 4, 2, 3)),)


case('constant-statistics', 'group norm', groupnorm, 'nomean')
case(('constant-statistics', 'divided-by-N'), 'pair group norm', groupnorm, 'nomean div')


def preln(b):
    class PreNormBlock:
        """x + W2 gelu-ish(W1 LN(x)) with tanh, positional offsets pos (T,D)"""
        def __init__(self, W1, W2, pos):
            self.params = [W1, W2, pos]
            self.grads = [np.zeros_like(p) for p in self.params]

        def forward(self, x):
            W1, W2, pos = self.params
            u = x + pos
            if 'cross' in b:
                mu, sd = u.mean(0, keepdims=True), u.std(0, keepdims=True)
            else:
                mu, sd = u.mean(-1, keepdims=True), u.std(-1, keepdims=True)
            n = (u - mu) / sd
            z = n @ W1
            h = np.tanh(z)
            self.c = [n, sd, z, h]
            return u + h @ W2

        def backward(self, dout):
            W1, W2, pos = self.params
            n, sd, z, h = self.c
            D, Hd = W1.shape
            hh = z if 'stale' in b else h
            self.grads[1][...] = hh.reshape(-1, Hd).T @ dout.reshape(-1, D)
            dz = (dout @ W2.T) * (1 - h if 'wl' in b else 1 - h ** 2)
            self.grads[0][...] = n.reshape(-1, D).T @ dz.reshape(-1, Hd)
            g = dz @ W1.T
            if 'const' in b:
                du = g / sd
            else:
                du = (g - g.mean(-1, keepdims=True) - n * (g * n).mean(-1, keepdims=True)) / sd
            if 'noskip' not in b:
                du = du + dout
            if 'far' in b:
                self.grads[2][...] = du.sum((0, 1))
            elif 'nw' not in b:
                self.grads[2][...] = du.sum(0)
            return du

    r = R(18)
    return PreNormBlock(r.normal(size=(5, 6)) * .5, r.normal(size=(6, 5)) * .5, r.normal(size=(3, 5))), (r.normal(size=(4, 3, 5)),)


case((), 'pre-norm block', preln)
case('cross-sample', 'pre-norm block a', preln, 'cross')
case('summed-too-far', 'pre-norm block b', preln, 'far')
case('constant-statistics', 'pre-norm block c', preln, 'const')
case('stale-cache', 'pre-norm block d', preln, 'stale')
case('not-written', 'pre-norm block e', preln, 'nw')
case(('stale-cache', 'summed-too-far'), 'pair pre-norm block 1', preln, 'stale far')
case(('constant-statistics', 'not-written'), 'pair pre-norm block 2', preln, 'const nw')


# ------------------------------------------------------------------ small CNN blocks
def resblock(b):
    class Residual:
        """1x1 conv, relu, 1x1 conv, + input, relu"""
        def __init__(self, A, B):
            self.A, self.B = A, B
            self.params = [A, B]
            self.grads = [np.zeros_like(A), np.zeros_like(B)]

        def forward(self, x):
            self.x = x
            self.z = np.einsum('fc,nchw->nfhw', self.A, x)
            self.h = self.z * (self.z > 0)
            self.s = np.einsum('cf,nfhw->nchw', self.B, self.h) + x
            return np.where(self.s > 0, self.s, 0.0)

        def backward(self, dout):
            if 'inpl' in b:
                dout[self.s <= 0] = 0
                ds = dout
            else:
                ds = dout * (self.s > 0)
            self.grads[1][...] = np.einsum('nchw,nfhw->cf', ds, self.h)
            dh = np.einsum('nchw,cf->nfhw', ds, self.B)
            if 'inv' in b:
                dz = dh * (self.z <= 0)
            elif 'pass' in b:
                dz = dh
            else:
                dz = dh * (self.z > 0)
            gA = np.einsum('nfhw,nchw->fc', dz, self.x)
            if 'reb' in b:
                self.grads[0] = gA
            else:
                self.grads[0][...] = gA
            dx = np.einsum('nfhw,fc->nchw', dz, self.A)
            return dx if 'skip' in b else dx + ds

    r = R(19)
    return Residual(r.normal(size=(5, 3)), r.normal(size=(3, 5))), (r.normal(size=(4, 3, 2, 4)),)


case((), 'residual block', resblock)
case('lost-branch', 'residual block a', resblock, 'skip')
case('inverted-mask', 'residual block b', resblock, 'inv')
case('mutates-input', 'residual block c', resblock, 'inpl')
case('rebound-grads', 'residual block d', resblock, 'reb')
case(frozenset(['missing-mask', 'missing-local-derivative']), 'residual block e', resblock, 'pass')
case(('lost-branch', 'rebound-grads'), 'pair residual 1', resblock, 'skip reb')
case(('lost-branch', 'inverted-mask'), 'pair residual 2', resblock, 'skip inv')


def inception(b):
    class TwoBranches:
        """1x1 branch and average-pool branch (global context), concatenated on channels, channels last; sigmoid on the first"""
        def __init__(self, W, V):
            self.params = [W, V]
            self.grads = [np.zeros_like(W), np.zeros_like(V)]

        def forward(self, x):
            W, V = self.params
            a = sigmoid(x @ W)
            g = x.mean(axis=(1, 2), keepdims=True)
            c = g @ V
            self.memo = {'x': x, 'a': a, 'g': g}
            return np.concatenate([a, np.broadcast_to(c, x.shape[:3] + (V.shape[1],))], axis=-1)

        def backward(self, dout):
            W, V = self.params
            x, a, g = (self.memo[k] for k in 'xag')
            k = W.shape[1]
            da, dc = dout[..., :k], dout[..., k:].sum((1, 2))
            if 'wl' in b:
                dz = da * a * (1 + a)
            elif 'pass' in b:
                dz = da
            else:
                dz = da * a * (1 - a)
            self.grads[0][...] = np.tensordot(x, dz, ([0, 1, 2], [0, 1, 2]))
            if 'acc' in b:
                self.grads[1] += g[:, 0, 0].T @ dc
            else:
                self.grads[1][...] = g[:, 0, 0].T @ dc
            dx = dz @ W.T
            if 'lost' not in b:
                m = (dc @ V.T)[:, None, None, :]
                dx = dx + (m if 'nodiv' in b else m / (x.shape[1] * x.shape[2]))
            return dx

    r = R(20)
    return TwoBranches(r.normal(size=(3, 4)), r.normal(size=(3, 2))), (r.normal(size=(5, 2, 3, 3)),)


case((), 'inception branches', inception)
case('lost-branch', 'inception branches a', inception, 'lost')
case('accumulates', 'inception branches b', inception, 'acc')
case('missing-local-derivative', 'inception branches c', inception, 'pass')
case(('wrong-local-derivative', 'accumulates'), 'pair inception 1', inception, 'wl acc')


def cnn(b):
    class TinyCNN:
        """conv1d-like 2x2 conv + relu + 2x2 max pool + dropout(fixed seed) + affine + softmax cross-entropy (+ L2)"""
        def __init__(self, K, W, c, lam, p=0.4):
            self.params = [K, W, c]
            self.grads = [np.zeros_like(q) for q in self.params]
            self.lam, self.p = lam, p

        def forward(self, x, t):
            K, W, c = self.params
            N = len(x)
            OH, OW = x.shape[2] - 1, x.shape[3] - 1
            z = sum(np.einsum('nchw,fc->nfhw', x[:, :, i:i + OH, j:j + OW], K[:, :, i, j]) for i in range(2) for j in range(2))
            h = np.maximum(z, 0)
            q = h.reshape(N, h.shape[1], OH // 2, 2, OW // 2, 2)
            m = q.max((3, 5))
            rng = np.random if 'rnd' in b else np.random.RandomState(3)
            keep = rng.rand(*m.shape) > self.p
            d = m * keep / (1 - self.p)
            f = d.reshape(N, -1)
            y = softmax(f @ W + c)
            self.cache = (x, t, z, q, m, keep, f, y)
            self.z = z
            return -np.log(y[np.arange(N), t]).mean() + 0.5 * self.lam * (W ** 2).sum()

        def backward(self, dout=1.0):
            K, W, c = self.params
            x, t, z, q, m, keep, f, y = self.cache
            N = len(x)
            ds = y.copy()
            if 'nolab' not in b:
                ds[np.arange(N), t] -= 1
            ds = ds * dout
            if 'noN' not in b:
                ds = ds / N
            if 'ign' in b:
                ds = ds / dout
            pen = 1
            if 'pen0' in b:
                pen = 0
            if 'pen2' in b:
                pen = 2
            if 'penneg' in b:
                pen = -1
            up = 1.0 if 'ign' in b else dout
            self.grads[1][...] = f.T @ ds + pen * self.lam * W * up
            if 'nw' not in b:
                self.grads[2][...] = ds.sum(0)
            df = (ds @ W.T).reshape(m.shape)
            if 'nokeep' not in b:
                df = df * (~keep if 'invkeep' in b else keep)
            dm = df if 'dscale' in b else df / (1 - self.p)
            dq = (q == m[:, :, :, None, :, None]) * dm[:, :, :, None, :, None]
            dz = dq.reshape(z.shape) * (z > 0)
            dx = np.zeros_like(x)
            OH, OW = z.shape[2:]
            for i in range(2):
                for j in range(2):
                    self.grads[0][:, :, i, j] = np.einsum('nfhw,nchw->fc', dz, x[:, :, i:i + OH, j:j + OW])
                    dx[:, :, i:i + OH, j:j + OW] += np.einsum('nfhw,fc->nchw', dz, K[:, :, i, j])
            return dx

    r = R(21)
    lam = 0.0 if 'l0' in b else 0.3
    return (TinyCNN(r.normal(size=(3, 2, 2, 2)), r.normal(size=(18, 4)) * .4, r.normal(size=4) * .2, lam),
            (r.normal(size=(6, 2, 5, 7)), np.array([0, 3, 1, 1, 2, 0])))


case((), 'tiny cnn with loss', cnn)
case('nondeterministic', 'tiny cnn with loss a', cnn, 'rnd')
case('wrong-penalty', 'tiny cnn with loss b', cnn, 'pen0')
case('wrong-penalty', 'tiny cnn with loss c', cnn, 'penneg')
case('dropout-scale', 'tiny cnn with loss d', cnn, 'dscale')
case('missing-label-subtraction', 'tiny cnn with loss e', cnn, 'nolab l0')
case('ignores-upstream', 'tiny cnn with loss f', cnn, 'ign')
case(('wrong-penalty', 'dropout-scale'), 'pair tiny cnn 1', cnn, 'pen2 dscale')
case(('wrong-penalty', 'not-written'), 'pair tiny cnn 2', cnn, 'pen0 nw')


def convrelu(b):
    class ConvReLU:
        def __init__(self, W, c):
            self.params = [W, c]
            self.grads = [np.zeros_like(W), np.zeros_like(c)]

        def forward(self, x):
            self.x = x
            self.z = np.einsum('ntc,fc->ntf', x, self.params[0]) + self.params[1]
            return np.maximum(self.z, 0)

        def backward(self, dout):
            d = dout * (self.z > 0)
            self.grads[0][...] = np.einsum('ntf,ntc->fc', d, self.x)
            self.grads[1][...] = d.sum((0, 1))
            return d @ self.params[0]

    r = R(22)
    return ConvReLU(r.normal(size=(4, 3)), np.full(4, -40.0)), (r.normal(size=(5, 6, 3)),)


case('uninformative', 'pointwise conv relu', convrelu)


# ------------------------------------------------------------------ embeddings
def embed_pos(b):
    class TokenEmbedding:
        """E[ids] + P[:T]"""
        def __init__(self, E, P):
            self.params = [E, P]
            self.grads = [np.zeros_like(E), np.zeros_like(P)]

        def forward(self, ids):
            E, P = self.params
            self.ids = ids
            return E[ids] + P[:ids.shape[1]]

        def backward(self, dout):
            dE, dP = self.grads
            if 'acc' not in b:
                dE[...] = 0
            if 'rep' in b:
                dE[self.ids] = dout
            else:
                np.add.at(dE, self.ids, dout)
            dP[...] = 0
            s = dout.sum(0)
            if 'far' in b:
                s = dout.sum((0, 1))
            elif 'div' in b:
                s = dout.mean(0)
            dP[:dout.shape[1]] = s
            return None

    r = R(31)
    ids = np.array([[0, 2, 2, 5], [1, 2, 0, 0], [6, 5, 5, 1], [2, 2, 4, 6], [3, 0, 1, 1]])
    return TokenEmbedding(r.normal(size=(7, 3)), r.normal(size=(4, 3))), (ids,)


case((), 'token embedding', embed_pos)
case('repeated-index', 'token embedding a', embed_pos, 'rep')
case('accumulates', 'token embedding b', embed_pos, 'acc')
case(('repeated-index', 'divided-by-N'), 'pair token embedding', embed_pos, 'rep div')


def embdot(b):
    class EmbeddingDot:
        def __init__(self, W):
            self.params = [W]
            self.grads = [np.zeros_like(W)]
            self.cache = None

        def forward(self, h, idx):
            rows = self.params[0][idx]
            self.cache = (h, rows, idx)
            return np.sum(rows * h, axis=1)

        def backward(self, dout):
            h, rows, idx = self.cache
            d = dout.reshape(-1, 1)
            g = self.grads[0]
            g[...] = 0
            src = rows if 'stale' in b else h
            if 'rep' in b:
                g[idx] = d * src
            else:
                for i, k in enumerate(idx):
                    g[k] += d[i] * src[i]
            if 'nr' in b:
                return None, None
            dh = d * rows
            return (-dh if 'neg' in b else dh), None

    r = R(32)
    W, h = r.normal(size=(6, 3)), r.normal(size=(5, 3))
    if 'zero' in b:
        W, h = W * 0, h * 0
    return EmbeddingDot(W), (h, np.array([4, 1, 4, 0, 1]))


case((), 'embedding dot', embdot)
case('not-returned', 'embedding dot a', embdot, 'nr')
case('stale-cache', 'embedding dot b', embdot, 'stale')
case('uninformative', 'embedding dot c', embdot, 'zero')
case(('repeated-index', 'wrong-sign'), 'pair embedding dot', embdot, 'rep neg')


def cbow(b):
    class SimpleCBOW:
        """mean of context rows, full softmax, loss mean over the batch"""
        def __init__(self, Win, Wout):
            self.Win, self.Wout = Win, Wout
            self.params = [Win, Wout]
            self.grads = [np.zeros_like(Win), np.zeros_like(Wout)]

        def forward(self, ctx, target):
            self.ctx, self.t = ctx, target
            self.h = self.Win[ctx].mean(axis=1)
            self.y = softmax(self.h @ self.Wout)
            return float(-np.log(self.y[np.arange(len(target)), target]).sum() / len(target))

        def backward(self, dout=1):
            N, C = self.ctx.shape
            ds = self.y.copy()
            if 'nolab' not in b:
                for n in range(N):
                    ds[n, self.t[n]] -= 1
            ds *= dout / (N * N if 'twice' in b else N)
            self.grads[1][...] = self.h.T @ ds
            dh = ds @ self.Wout.T
            if 'nodiv' not in b:
                dh = dh / C
            gin = np.zeros_like(self.Win)
            if 'rep' in b:
                gin[self.ctx] = dh[:, None, :]
            elif 'first' in b:
                np.add.at(gin, self.ctx[:, 0], dh)
            else:
                for c in range(C):
                    np.add.at(gin, self.ctx[:, c], dh)
            if 'reb' in b:
                self.grads[0] = gin
            else:
                self.grads[0][...] = gin
            return None

    r = R(33)
    ctx = np.array([[0, 2, 3, 1], [2, 2, 0, 4], [5, 1, 2, 3], [4, 0, 5, 5], [1, 3, 3, 0]])
    return SimpleCBOW(r.normal(size=(6, 3)), r.normal(size=(3, 6))), (ctx, np.array([1, 3, 4, 1, 5]))


case((), 'CBOW', cbow)
case('missing-label-subtraction', 'CBOW a', cbow, 'nolab')
case('scaled-by-N', 'CBOW b', cbow, 'nodiv')
case('repeated-index', 'CBOW c', cbow, 'rep')
case('divided-by-N', 'CBOW d', cbow, 'twice')
case(('missing-label-subtraction', 'rebound-grads'), 'pair CBOW', cbow, 'nolab reb')


def negsamp(b):
    class NegativeSampling:
        """sigmoid loss with fixed negatives, sum over the batch; forward(h, target)"""
        def __init__(self, W, neg):
            self.W, self.neg = W, neg
            self.params, self.grads = [W], [np.zeros_like(W)]

        def forward(self, h, target):
            self.steps = []
            loss = 0.0
            ids = [target] + [self.neg[:, j] for j in range(self.neg.shape[1])]
            for k, idx in enumerate(ids):
                w = self.W[idx]
                s = (h * w).sum(1)
                lab = 1.0 if k == 0 else 0.0
                p = sigmoid(s)
                loss -= (lab * np.log(p) + (1 - lab) * np.log(1 - p)).sum()
                self.steps.append((h, idx, w, p, lab))
            return loss

        def backward(self, dout=1.0):
            self.grads[0].fill(0)
            dh = 0
            for h, idx, w, p, lab in self.steps:
                ds = (p - lab) * (1.0 if 'ign' in b else dout)
                if 'rep' in b:
                    g = np.zeros_like(self.W)
                    g[idx] = ds[:, None] * h
                    self.grads[0] += g
                else:
                    np.add.at(self.grads[0], idx, ds[:, None] * h)
                if 'last' in b:
                    dh = ds[:, None] * w
                else:
                    dh = dh + ds[:, None] * w
            return dh

    r = R(34)
    neg = np.array([[0, 3, 5], [1, 1, 2], [0, 6, 2], [4, 3, 3], [0, 5, 6], [2, 1, 1]])
    return NegativeSampling(r.normal(size=(7, 4)), neg), (r.normal(size=(6, 4)), np.array([3, 6, 6, 0, 2, 3]))


case((), 'negative sampling', negsamp)
case('lost-branch', 'negative sampling a', negsamp, 'last')
case('ignores-upstream', 'negative sampling b', negsamp, 'ign')
case(('repeated-index', 'lost-branch'), 'pair negative sampling', negsamp, 'rep last')


def bag(b):
    class BagOfWords:
        """masked mean of word vectors; forward(x, mask float fixed in the constructor)"""
        def __init__(self, mask, A):
            self.mask = mask
            self.params, self.grads = [A], [np.zeros_like(A)]

        def forward(self, x):
            m = self.mask[:, :, None]
            self.cnt = self.mask.sum(1)[:, None]
            self.s = (x * m).sum(1) / self.cnt
            return self.s @ self.params[0]

        def backward(self, dout):
            self.grads[0][...] = self.s.T @ dout * (0.5 if 'half' in b else 1)
            ds = dout @ self.params[0].T
            if 'nodiv' not in b:
                ds = ds / self.cnt
            m = self.mask[:, :, None]
            if 'nomask' in b:
                m = np.ones_like(m)
            if 'inv' in b:
                m = 1 - m
            return ds[:, None, :] * m

    r = R(35)
    if 'nodiv' in b:
        mask = np.array([[1, 1, 1, 0, 0], [1, 0, 0, 1, 1], [0, 1, 1, 1, 0], [1, 0, 1, 0, 1]], float)
    else:
        mask = np.array([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 1, 0]], float)
    return BagOfWords(mask, r.normal(size=(3, 2))), (r.normal(size=(4, 5, 3)),)


case((), 'bag of words', bag)
case('missing-mask', 'bag of words a', bag, 'nomask')
case('inverted-mask', 'bag of words b', bag, 'inv')
case('scaled-by-N', 'bag of words c', bag, 'nodiv')
case(('inverted-mask', 'factor-half'), 'pair bag of words', bag, 'inv half')


# ------------------------------------------------------------------ recurrent
def rnn(b):
    class TimeRNN:
        """batch first, all states out; optional state mask (N,T)"""
        def __init__(self, Wx, Wh, c, mask=None):
            self.params = [Wx, Wh, c]
            self.grads = [np.zeros_like(p) for p in self.params]
            self.mask = mask

        def forward(self, xs):
            Wx, Wh, c = self.params
            N, T, D = xs.shape
            h = np.zeros((N, len(Wh)))
            self.xs, self.hs, self.cs = xs, [h], []
            for t in range(T):
                cand = np.tanh(xs[:, t] @ Wx + h @ Wh + c)
                self.cs.append(cand)
                if self.mask is not None:
                    m = self.mask[:, t:t + 1]
                    h = m * cand + (1 - m) * h
                else:
                    h = cand
                self.hs.append(h)
            return np.stack(self.hs[1:], axis=1)

        def backward(self, dhs):
            Wx, Wh, c = self.params
            gx, gh, gc = (np.zeros_like(p) for p in self.params)
            dxs = np.empty_like(self.xs)
            carry = 0
            for t in reversed(range(self.xs.shape[1])):
                dh = dhs[:, t] + carry
                m = 1.0 if self.mask is None else self.mask[:, t:t + 1]
                dc = dh if 'nomask' in b else dh * ((1 - m) if 'invm' in b else m)
                cand = self.cs[t]
                if 'pass' in b:
                    dz = dc
                elif 'wl' in b:
                    dz = dc * (1 - cand)
                else:
                    dz = dc * (1 - cand ** 2)
                gx += self.xs[:, t].T @ dz
                gh += (self.hs[t + 1] if 'stale' in b else self.hs[t]).T @ dz
                gc += dz.mean(0) if 'div' in b else (dz.sum() if 'far' in b else dz.sum(0))
                dxs[:, t] = dz @ Wx.T
                carry = dz @ (Wh if 'T' in b else Wh.T)
                if self.mask is not None and 'noskip' not in b:
                    carry = carry + (m if 'invm' in b else (1 - m)) * dh
                if 'trunc' in b:
                    carry = 0
            self.grads[0][...], self.grads[2][...] = gx, gc
            if 'nw' not in b:
                self.grads[1][...] = gh
            return -dxs if 'neg' in b else dxs

    r = R(36)
    mask = None
    if 'mask' in b:
        mask = np.array([[1, 1, 0, 1, 0], [1, 0, 1, 1, 1], [1, 1, 1, 0, 0], [0, 1, 1, 1, 1]], float)
    return (TimeRNN(r.normal(size=(2, 3)) * .7, r.normal(size=(3, 3)) * .6, r.normal(size=3) * .5, mask),
            (r.normal(size=(4, 5, 2)),))


case((), 'RNN', rnn)
case((), 'RNN with mask', rnn, 'mask')
case('missing-local-derivative', 'RNN a', rnn, 'pass')
case('wrong-local-derivative', 'RNN b', rnn, 'wl')
case('stale-cache', 'RNN c', rnn, 'stale')
case('lost-branch', 'RNN d', rnn, 'trunc')
case('missing-transpose', 'RNN e', rnn, 'T')
case('not-written', 'RNN f', rnn, 'nw')
case('wrong-sign', 'RNN g', rnn, 'neg')
case('missing-mask', 'RNN with mask a', rnn, 'mask nomask')
case('inverted-mask', 'RNN with mask b', rnn, 'mask invm')
case('lost-branch', 'RNN with mask c', rnn, 'mask noskip')
case(('stale-cache', 'divided-by-N'), 'pair RNN 1', rnn, 'stale div')
case(('wrong-sign', 'summed-too-far'), 'pair RNN 2', rnn, 'neg far')


def lstm(b):
    class LSTM:
        """time-major (T,N,D), last state only, gates in one matrix (D+H, 4H)"""
        def __init__(self, W, bias):
            self.params = [W, bias]
            self.grads = [np.zeros_like(W), np.zeros_like(bias)]

        def forward(self, x):
            W, bias = self.params
            T, N, D = x.shape
            H = W.shape[1] // 4
            h = c = np.zeros((N, H))
            self.tape = []
            for xt in x:
                u = np.hstack([xt, h])
                A = u @ W + bias
                f, g, i, o = sigmoid(A[:, :H]), np.tanh(A[:, H:2 * H]), sigmoid(A[:, 2 * H:3 * H]), sigmoid(A[:, 3 * H:])
                cn = f * c + g * i
                h = o * np.tanh(cn)
                self.tape.append((u, f, g, i, o, c, cn))
                c = cn
            return h

        def backward(self, dh):
            W, bias = self.params
            H = W.shape[1] // 4
            D = W.shape[0] - H
            if 'clip' in b:
                dh = dh * min(1.0, 0.5 / np.linalg.norm(dh))
            dc = np.zeros_like(dh)
            dW = np.zeros_like(W) if 'acc' not in b else self.grads[0]
            db = np.zeros_like(bias)
            dxs = []
            for u, f, g, i, o, c, cn in self.tape[::-1]:
                tc = np.tanh(c if 'stale' in b else cn)
                d = dh * o * (1 - tc ** 2)
                dc = d if 'lost' in b else dc + d
                do, df, dg, di = dh * np.tanh(cn), dc * c, dc * i, dc * g
                dA = np.hstack([df * f * (1 - f), dg * (1 - (g if 'wl' in b else g ** 2)), di * i * (1 - i), do * o * (1 - o)])
                dW += u.T @ dA
                db += dA.mean(0) if 'div' in b else dA.sum(0)
                du = dA @ W.T
                dxs.append(du[:, :D])
                dh, dc = du[:, D:], dc * f
            if 'acc' not in b:
                self.grads[0][...] = dW
            self.grads[1][...] = db
            return np.array(dxs[::-1])

    r = R(37)
    return LSTM(r.normal(size=(5, 12)) * .7, r.normal(size=12) * .4), (r.normal(size=(4, 5, 2)),)


case((), 'LSTM last state', lstm)
case('ignores-upstream', 'LSTM last state a', lstm, 'clip')
case('stale-cache', 'LSTM last state b', lstm, 'stale')
case('lost-branch', 'LSTM last state c', lstm, 'lost')
case('wrong-local-derivative', 'LSTM last state d', lstm, 'wl')
case('accumulates', 'LSTM last state e', lstm, 'acc')
case(('lost-branch', 'divided-by-N'), 'pair LSTM', lstm, 'lost div')


def grucell(b):
    class GRUCell:
        """one step, forward(x, h)"""
        def __init__(self, Wz, Wr, Wn):
            self.params = [Wz, Wr, Wn]
            self.grads = [np.zeros_like(w) for w in self.params]

        def forward(self, x, h):
            Wz, Wr, Wn = self.params
            u = np.concatenate([x, h], 1)
            z, r = sigmoid(u @ Wz), sigmoid(u @ Wr)
            v = np.concatenate([x, r * h], 1)
            n = np.tanh(v @ Wn)
            self._ = x, h, u, z, r, v, n
            return (1 - z) * h + z * n

        def backward(self, dout):
            x, h, u, z, r, v, n = self._
            Wz, Wr, Wn = self.params
            D = x.shape[1]
            dz = dout * (n - h)
            dn = dout * z
            dh = dout * (1 - z)
            an = dn * (1 - n ** 2)
            self.grads[2][...] = (u if 'stale' in b else v).T @ an
            dv = an @ Wn.T
            dx = dv[:, :D].copy()
            dr = dv[:, D:] * h
            if 'nor' not in b:
                dh = dh + dv[:, D:] * r
            az = dz * (z if 'wlz' in b else z * (1 - z))
            ar = dr if 'passr' in b else dr * r * (1 - r)
            self.grads[0][...] = -(u.T @ az) if 'neg' in b else u.T @ az
            self.grads[1][...] = u.T @ ar
            du = az @ Wz.T + ar @ Wr.T
            dx += du[:, :D]
            dh = dh + du[:, D:]
            return (dx,) if 'nr' in b else (dx, dh)

    r = R(38)
    return GRUCell(*[r.normal(size=(5, 3)) for _ in range(3)]), (r.normal(size=(4, 2)), r.normal(size=(4, 3)))


case((), 'GRU cell', grucell)
case('lost-branch', 'GRU cell a', grucell, 'nor')
case('wrong-local-derivative', 'GRU cell b', grucell, 'wlz')
case('missing-local-derivative', 'GRU cell c', grucell, 'passr')
case('not-returned', 'GRU cell d', grucell, 'nr')
case(('lost-branch', 'wrong-sign'), 'pair GRU cell', grucell, 'nor neg')


def birnn(b):
    class BiRNN:
        """two linear-tanh chains with one shared input projection, outputs concatenated; recurrent per-unit weights"""
        def __init__(self, W, a, c):
            self.params = [W, a, c]
            self.grads = [np.zeros_like(p) for p in self.params]

        def run(self, p, w):
            h, hs = np.zeros_like(p[:, 0]), []
            for t in range(p.shape[1]):
                h = np.tanh(p[:, t] + w * h)
                hs.append(h)
            return np.stack(hs, 1)

        def unrun(self, hs, w, d):
            dp, gw, k = np.zeros_like(d), np.zeros((len(d), len(w))), 0
            for t in range(d.shape[1] - 1, -1, -1):
                z = (d[:, t] + k) * (1 - hs[:, t] ** 2)
                dp[:, t] = z
                if t:
                    gw += z * hs[:, t - 1]
                k = z * w
            return dp, gw

        def forward(self, x):
            W, a, c = self.params
            self.x = x
            p = x @ W
            self.f = self.run(p, a)
            self.g = self.run(p[:, ::-1], c)
            return np.concatenate([self.f, self.g[:, ::-1]], 2)

        def backward(self, dout):
            W, a, c = self.params
            H = W.shape[1]
            dpf, ga = self.unrun(self.f, a, dout[..., :H])
            dpg, gc = self.unrun(self.g, c, dout[..., H:][:, ::-1])
            dp = dpf if 'lost' in b else dpf + dpg[:, ::-1]
            self.grads[0][...] = np.einsum('ntd,nth->dh', self.x, dp)
            if 'bs' in b:
                self.grads[1], self.grads[2] = ga, gc
            else:
                self.grads[1][...] = ga.sum() if 'far' in b else ga.sum(0)
                self.grads[2][...] = gc.sum(0)
            return dp @ W.T

    r = R(39)
    return BiRNN(r.normal(size=(2, 3)), r.normal(size=3), r.normal(size=3)), (r.normal(size=(5, 4, 2)),)


case((), 'bidirectional', birnn)
case('lost-branch', 'bidirectional a', birnn, 'lost')
# per-sample arrays put into the list: wrong shape AND the slots are replaced
case(frozenset(['missing-batch-sum', 'rebound-grads']), 'bidirectional b', birnn, 'bs')
case(('lost-branch', 'summed-too-far'), 'pair bidirectional', birnn, 'lost far')


# ------------------------------------------------------------------ attention
def sdpa(b):
    class ScaledDotAttention:
        """forward(q, k, v); causal optional; dropout on the weights with a fixed mask optional"""
        def __init__(self, causal, keep=None, p=0.0):
            self.causal, self.keep, self.p = causal, keep, p

        def forward(self, q, k, v):
            if 'scr' in b:
                q *= 1 / np.sqrt(q.shape[-1])
                s = q @ k.transpose(0, 2, 1)
            else:
                s = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
            if self.causal:
                s = np.where(np.tril(np.ones(s.shape[1:])) > 0, s, -1e9)
            a = softmax(s, axis=0) if 'cross' in b else softmax(s)
            w = a if self.keep is None else a * self.keep / (1 - self.p)
            self.cache = q, k, v, s, a, w
            return w @ v

        def backward(self, dout):
            q, k, v, s, a, w = self.cache
            dv = (s if 'stale' in b else w).transpose(0, 2, 1) @ dout
            if 'wT' in b:
                dv = w @ dout
            dw = dout @ v.transpose(0, 2, 1)
            if self.keep is not None:
                da = dw if 'nomask' in b else dw * self.keep
                if 'inv' in b:
                    da = dw * (1 - self.keep)
                da = da / (1 - self.p) if 'ds' not in b else da
                if 'ds2' in b:
                    da = da / (1 - self.p)
            else:
                da = dw
            if 'const' in b:
                ds = a * da
            elif 'diag' in b:
                ds = a * (1 - a) * da
            else:
                ds = a * (da - (a * da).sum(-1, keepdims=True))
            if 'neg' in b:
                dv = -dv
            ds = ds / np.sqrt(q.shape[-1])
            dq, dk = ds @ k, ds.transpose(0, 2, 1) @ q
            if 'scr' in b:      # q already carries the 1/sqrt(d): the gradient itself is right
                dk = dk * np.sqrt(q.shape[-1])
            if 'nr' in b:
                return dq, None, dv
            return dq, dk, dv

    r = R(40)
    Tk = 4 if 'wT' in b or 'causal' in b else 3
    keep = None
    if 'drop' in b:
        keep = (R(41).random((5, 4, Tk)) > .35).astype(float)
    return (ScaledDotAttention('causal' in b, keep, .35 if 'drop' in b else 0.0),
            (r.normal(size=(5, 4, 3)), r.normal(size=(5, Tk, 3)), r.normal(size=(5, Tk, 2))))


case((), 'attention', sdpa)
case((), 'attention causal', sdpa, 'causal')
case((), 'attention with dropout', sdpa, 'drop')
case('constant-statistics', 'attention a', sdpa, 'const')
case('cross-sample', 'attention b', sdpa, 'cross')
case('not-returned', 'attention c', sdpa, 'nr')
case('mutates-input', 'attention d', sdpa, 'scr')
case('missing-transpose', 'attention e', sdpa, 'wT causal')
case('missing-mask', 'attention with dropout a', sdpa, 'drop nomask')
case('dropout-scale', 'attention with dropout b', sdpa, 'drop ds')
case('dropout-scale', 'attention with dropout c', sdpa, 'drop ds2')
case(('dropout-scale', 'wrong-sign'), 'pair attention 1', sdpa, 'drop ds neg')
case(('constant-statistics', 'wrong-sign'), 'pair attention 2', sdpa, 'const neg')


def mhsa(b):
    class MultiHeadSelf:
        """self attention, H heads, weights Wq Wk Wv Wo, all from the same x"""
        def __init__(self, Ws, heads):
            self.params = list(Ws)
            self.grads = [np.zeros_like(w) for w in self.params]
            self.heads = heads

        def split(self, y):
            N, T, E = y.shape
            return y.reshape(N, T, self.heads, E // self.heads).transpose(0, 2, 1, 3)

        def merge(self, y):
            N, H, T, d = y.shape
            return y.transpose(0, 2, 1, 3).reshape(N, T, H * d)

        def forward(self, x):
            q, k, v = (self.split(x @ w) for w in self.params[:3])
            sc = q.shape[-1] ** -.5
            a = softmax(np.einsum('nhid,nhjd->nhij', q, k) * sc)
            o = self.merge(np.einsum('nhij,nhjd->nhid', a, v))
            self.cache = x, q, k, v, a, o, sc
            return o @ self.params[3]

        def backward(self, dout):
            x, q, k, v, a, o, sc = self.cache
            Wq, Wk, Wv, Wo = self.params
            if 'stale' in b:
                o = self.merge(v)
            self.grads[3][...] = np.einsum('nte,ntf->ef', o, dout)
            do = dout @ Wo.T
            if 'rs' in b:
                N, T, E = do.shape
                do = do.reshape(N, self.heads, T, E // self.heads)
            else:
                do = self.split(do)
            dv = np.einsum('nhij,nhid->nhjd', a, do)
            da = np.einsum('nhid,nhjd->nhij', do, v)
            ds = a * (da - (da * a).sum(-1, keepdims=True)) * sc
            dq = np.einsum('nhij,nhjd->nhid', ds, k)
            dk = np.einsum('nhij,nhid->nhjd', ds, q)
            dx = 0
            for i, (d, w) in enumerate(zip((dq, dk, dv), (Wq, Wk, Wv))):
                d = self.merge(d)
                self.grads[i][...] = np.tensordot(x, d, ([0, 1], [0, 1]))
                if 'shared' in b and i < 2:
                    continue
                dx = dx + d @ w.T
            return dx

    r = R(42)
    return MultiHeadSelf([r.normal(size=(3, 4)), r.normal(size=(3, 4)), r.normal(size=(3, 4)), r.normal(size=(4, 5))], 2), (r.normal(size=(4, 5, 3)),)


case((), 'multi-head self-attention', mhsa)
case('wrong-reshape', 'multi-head self-attention a', mhsa, 'rs')
case('lost-branch', 'multi-head self-attention b', mhsa, 'shared')
case(('lost-branch', 'stale-cache'), 'pair multi-head', mhsa, 'shared stale')


def additive(b):
    class AdditiveAttention:
        """forward(query, memory): tanh scores, softmax over time, context vector"""
        def __init__(self, U, W, v):
            self.params = [U, W, v]
            self.grads = [np.zeros_like(p) for p in self.params]

        def forward(self, s, M):
            U, W, v = self.params
            self.s, self.M = s, M
            self.th = np.tanh((s @ U)[:, None, :] + M @ W)
            self.a = softmax(self.th @ v, axis=1)
            return np.einsum('nt,ntd->nd', self.a, M)

        def backward(self, dout):
            U, W, v = self.params
            da = np.einsum('nd,ntd->nt', dout, self.M)
            dM = self.a[:, :, None] * dout[:, None, :]
            de = self.a * (da - np.sum(self.a * da, axis=1, keepdims=True))
            gv = np.einsum('nt,nth->h', de, self.th)
            dz = de[:, :, None] * v * (1 - self.th ** 2)
            if 'nosum' in b:
                ds = dz[:, -1] @ U.T
            else:
                ds = dz.sum(1) @ U.T
            self.grads[0][...] = self.s.T @ dz.sum(1)
            self.grads[1][...] = np.einsum('ntd,nth->dh', self.M, dz)
            self.grads[2][...] = gv / len(dout) if 'div' in b else gv
            if 'lost' not in b:
                dM = dM + dz @ W.T
            return ds, dM

    r = R(60)
    return AdditiveAttention(r.normal(size=(2, 4)), r.normal(size=(3, 4)), r.normal(size=4)), (r.normal(size=(5, 2)), r.normal(size=(5, 6, 3)))


case((), 'additive attention', additive)
case('lost-branch', 'additive attention a', additive, 'lost')
case(('lost-branch', 'divided-by-N'), 'pair additive attention', additive, 'lost div')


def flatsplit(b):
    class FlattenAffineSplit:
        """NCHW input, flattened in NHWC order, affine (out, in); first half tanh, second half minus; joined again"""
        def __init__(self, W):
            self.params, self.grads = [W], [np.zeros_like(W)]

        def forward(self, x):
            self.shape = x.shape
            self.f = x.transpose(0, 2, 3, 1).reshape(len(x), -1)
            z = self.f @ self.params[0].T
            self.a, c = np.split(np.tanh(z), 2, axis=1)[0], np.split(z, 2, axis=1)[1]
            return np.hstack([self.a, -c])

        def backward(self, dout):
            g1, g2 = np.split(dout, 2, axis=1)
            dz = np.hstack([g1 * (1 - self.a ** 2), g2 if 'sgn' in b else -g2])
            self.grads[0][...] = dz.T @ self.f
            df = dz @ self.params[0]
            N, C, H, W = self.shape
            if 'rs' in b:
                return df.reshape(self.shape)
            return df.reshape(N, H, W, C).transpose(0, 3, 1, 2)

    r = R(61)
    return FlattenAffineSplit(r.normal(size=(6, 24)) * .4), (r.normal(size=(5, 4, 2, 3)),)


case((), 'flatten affine split', flatsplit)
case('wrong-reshape', 'flatten affine split a', flatsplit, 'rs')


# ------------------------------------------------------------------ sequence losses, whole models
def seqloss(b):
    class TimeSoftmaxWithLoss:
        """padding label -1 is ignored, mean over the real tokens"""
        def forward(self, xs, ts):
            N, T, V = xs.shape
            self.mask = ts != -1
            self.y = softmax(xs.reshape(N * T, V))
            self.t = np.where(self.mask, ts, 0).ravel()
            self.m = self.mask.ravel().astype(float)
            self.shape = xs.shape
            ll = np.log(self.y[np.arange(N * T), self.t]) * self.m
            return -ll.sum() / self.m.sum()

        def backward(self, dout=1.0):
            d = self.y.copy()
            if 'nolab' not in b:
                d[np.arange(len(d)), self.t] -= 1
            if 'nomask' not in b:
                d *= ((1 - self.m) if 'inv' in b else self.m)[:, None]
            if 'noN' not in b:
                d /= self.m.sum()
            if 'twice' in b:
                d /= self.shape[0]
            if 'ign' not in b:
                d *= dout
            return d.reshape(self.shape)

    r = R(43)
    ts = np.array([[1, 4, 0, -1, -1], [2, 3, 3, 1, -1], [0, -1, -1, -1, -1], [4, 1, 2, 0, 3]])
    if 'empty' in b:
        ts = ts * 0 - 1

        class Guarded(TimeSoftmaxWithLoss):
            def forward(self, xs, ts):
                L = 0.0
                N, T, V = xs.shape
                self.sh = xs.shape
                self.m = (ts.ravel() != -1).astype(float)
                self.y = softmax(xs.reshape(N * T, V))
                return float(L - (np.log(self.y[:, 0]) * self.m).sum() / max(1.0, self.m.sum()))

            def backward(self, dout=1.0):
                return (dout * self.y * self.m[:, None]).reshape(self.sh)
        return Guarded(), (r.normal(size=(4, 5, 5)), ts)
    return TimeSoftmaxWithLoss(), (r.normal(size=(4, 5, 5)), ts)


case((), 'sequence loss', seqloss)
case('missing-mask', 'sequence loss a', seqloss, 'nomask')
case('scaled-by-N', 'sequence loss b', seqloss, 'noN')
case('missing-label-subtraction', 'sequence loss c', seqloss, 'nolab')
case('uninformative', 'sequence loss d', seqloss, 'empty')
case('ignores-upstream', 'sequence loss e', seqloss, 'ign')


def seqmse(b):
    class MaskedSquares:
        """0.5 * sum of squared errors over real steps; lengths as ints"""
        def forward(self, y, target, lengths):
            self.m = (np.arange(y.shape[1]) < lengths[:, None]).astype(float)[:, :, None]
            self.e = (y - target) * self.m
            return 0.5 * np.sum(self.e ** 2)

        def backward(self, dout=1.0):
            g = dout * self.e * (2 if 'two' in b else 0.5 if 'half' in b else 1)
            return g, (g if 'sgn' in b else -g), None

    r = R(44)
    return MaskedSquares(), (r.normal(size=(5, 4, 3)), r.normal(size=(5, 4, 3)), np.array([4, 1, 3, 2, 3]))


case((), 'masked squares', seqmse)
case('factor-2', 'masked squares a', seqmse, 'two')
case('wrong-sign', 'masked squares b', seqmse, 'sgn')


def gram(b):
    class GramPenalty:
        """pooled energy: mean over t of (x W)^2, plus lam * sum(W^2) shown in every output? no: returned as a scalar loss"""
        def __init__(self, W, lam):
            self.W, self.lam = W, lam
            self.params, self.grads = [W], [np.zeros_like(W)]

        def forward(self, x):
            self.x = x
            self.u = x @ self.W
            return float((self.u ** 2).mean() + self.lam * np.sum(self.W ** 2))

        def backward(self, dout=1.0):
            du = dout * 2 * self.u / self.u.size
            if 'two' in b:
                du = du * 2
            if 'noN' in b:
                du = du * self.u.size
            k = self.lam if 'penhalf' in b else 2 * self.lam
            self.grads[0][...] = np.einsum('ntd,nte->de', self.x, du) + dout * k * self.W
            return du @ self.W.T * (-1 if 'neg' in b else 1)

    r = R(45)
    return GramPenalty(r.normal(size=(3, 4)), .2), (r.normal(size=(5, 6, 3)),)


case((), 'energy with penalty', gram)
case('wrong-penalty', 'energy with penalty a', gram, 'penhalf')
case(('wrong-penalty', 'wrong-sign'), 'pair energy', gram, 'penhalf neg')


def energy(b):
    class EnergyPooling:
        """squared linear filters summed over time, each filter with its own gain"""
        def __init__(self, W, gain):
            self.params = [W, gain]
            self.grads = [np.zeros_like(W), np.zeros_like(gain)]

        def forward(self, x):
            self.x = x
            self.u = x @ self.params[0]
            self.e = (self.u ** 2).sum(1)
            return self.e * self.params[1]

        def backward(self, dout):
            W, gain = self.params
            self.grads[1][...] = (dout * self.e).sum(0) * (2 if 'two' in b else 1)
            du = (dout * gain)[:, None, :] * self.u
            if 'half' not in b:
                du = 2 * du
            self.grads[0][...] = np.einsum('ntd,ntf->df', self.x, du)
            return du @ W.T

    r = R(46)
    return EnergyPooling(r.normal(size=(2, 4)), r.normal(size=4)), (r.normal(size=(5, 3, 2)),)


case('factor-half', 'energy pooling', energy, 'half')
case('factor-2', 'energy pooling a', energy, 'two')
case(('factor-2', 'factor-half'), 'pair energy pooling', energy, 'two half')


def noisy(b):
    class NoisyPool:
        def forward(self, x):
            self.shape = x.shape
            self.n = 1 + 0.1 * np.random.standard_normal(x.shape)
            return (x * self.n).mean(1)

        def backward(self, dout):
            return dout[:, None] * self.n / self.shape[1]

    return NoisyPool(), (R(47).normal(size=(4, 5, 3)),)


case('nondeterministic', 'temporal pool', noisy)


def shift(b):
    class TemporalShift:
        """add the previous step"""
        def __init__(self, W):
            self.params, self.grads = [W], [np.zeros_like(W)]

        def forward(self, x):
            self.x = x
            self.p = np.roll(x, 1, axis=0 if 'cross' in b else 1)
            return x + self.p @ self.params[0]

        def backward(self, dout):
            self.grads[0][...] = np.einsum('ntd,nte->de', self.p, dout)
            return dout + np.roll(dout @ self.params[0].T, -1, axis=1)

    return TemporalShift(R(48).normal(size=(3, 3))), (R(49).normal(size=(5, 4, 3)),)


case('cross-sample', 'temporal shift', shift, 'cross')


def manytoone(b):
    class Classifier:
        """embedding -> RNN -> last state -> affine -> softmax loss (mean), ids in, everything hand-made"""
        def __init__(self, E, Wx, Wh, V, n):
            self.params = [E, Wx, Wh, V]
            self.grads = [np.zeros_like(p) for p in self.params]
            if 'bs' in b:
                self.grads[3] = np.zeros((n,) + V.shape)

        def forward(self, ids, t):
            E, Wx, Wh, V = self.params
            self.ids, self.t = ids, t
            self.e = E[ids]
            h = np.zeros((len(ids), len(Wh)))
            self.h = {-1: h}
            for s in range(ids.shape[1]):
                h = np.tanh(self.e[:, s].dot(Wx) + h.dot(Wh))
                self.h[s] = h
            self.y = softmax(h @ V)
            return -np.mean(np.log(self.y[np.arange(len(t)), t]))

        def backward(self, dout=1):
            E, Wx, Wh, V = self.params
            N, T = self.ids.shape
            for g in self.grads:
                g[...] = 0
            d = self.y - np.eye(V.shape[1])[self.t]
            if 'noN' not in b:
                d = d / N
            d = d * dout
            last = self.h[T - 1]
            self.grads[3][...] = last[:, :, None] * d[:, None, :] if 'bs' in b else last.T @ d
            dh = d @ V.T
            for s in range(T - 1, -1, -1):
                dz = dh * (1 - self.h[s] ** 2)
                self.grads[1] += self.e[:, s].T @ dz
                self.grads[2] += self.h[s - 1].T @ dz
                de = dz @ Wx.T
                if 'rep' in b:
                    self.grads[0][self.ids[:, s]] += de
                else:
                    np.add.at(self.grads[0], self.ids[:, s], de)
                dh = dz @ Wh.T
            if 'decay' in b:
                for p in self.params:
                    p *= 0.999
            return None

    r = R(50)
    ids = np.array([[0, 1, 4], [0, 2, 4], [3, 1, 4], [0, 1, 2], [3, 3, 0]])
    return (Classifier(r.normal(size=(5, 2)), r.normal(size=(2, 3)), r.normal(size=(3, 3)) * .6, r.normal(size=(3, 4)), 5),
            (ids, np.array([0, 2, 2, 3, 1])))


case((), 'many to one', manytoone)
case('missing-batch-sum', 'many to one a', manytoone, 'bs')
case('mutates-input', 'many to one b', manytoone, 'decay')
case('repeated-index', 'many to one c', manytoone, 'rep')
case(('repeated-index', 'scaled-by-N'), 'pair many to one', manytoone, 'rep noN')


# ------------------------------------------------------------------ pure functions
def puresoftplus(b):
    def f(x):
        return np.tanh(x) ** 2

    def df(x):
        y = np.tanh(x)
        return 2 * y if 'pass' in b else y * (1 - y ** 2) if 'half' in b else 2 * y * (1 - y ** 2)

    return (f, df), (R(51).normal(size=(4, 3)),)


case((), 'tanh squared', puresoftplus)
case('factor-half', 'tanh squared a', puresoftplus, 'half')


# ------------------------------------------------------------------ trim: near-duplicates go to EXTRA (same format, also verified)
_EXTRA = set("""conv loops bias b|conv loops twice|im2col conv col2im|temporal conv tanh d|temporal conv tanh e|depthwise separable b
transposed conv b|transposed conv c|global pool head b|nearest upsampling a|inception branches a|CBOW c|negative sampling a|GRU cell a
bidirectional a|GRU cell d|sequence loss e|RNN a|RNN b|pre-norm block d|conv loops channels|im2col conv W|im2col conv dcol|bag of words a
max pool 3/2 b|conv loops stride 1 pad 1|depth to space|reflection padding|two-input concat|tanh squared|attention causal|negative sampling
energy with penalty|inception branches|bag of words|pair conv loops 3|pair temporal conv 1|pair depthwise 1|pair transposed conv|pair group norm|pair RNN 2
pair attention 2|pair pre-norm block 2|pair tiny cnn 2|pair LSTM|pair im2col 1|pair GRU cell|pair spatial batch norm""".replace(chr(10), '|').split('|'))
assert _EXTRA <= {c[1] for c in CASES}, _EXTRA - {c[1] for c in CASES}
EXTRA = [c for c in CASES if c[1] in _EXTRA]
CASES = [c for c in CASES if c[1] not in _EXTRA]
