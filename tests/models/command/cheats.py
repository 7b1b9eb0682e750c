"""Hand-ins that try to get marks without writing the layers, or to harm who marks them.

Each is the solved homework with a change: ``replaced`` is a method's line of it, ``added`` stands at the end, ``first`` at
the top. ``lost`` names the layers that must get 0 of 2 (all: "all"); the others keep their 2. ``told`` is what the report says.
"""
from typing import NamedTuple

ALL = ("Affine", "ReLU", "Sigmoid", "Embedding", "SoftmaxWithLoss")


class Cheat(NamedTuple):
    name: str
    lost: tuple
    told: str
    added: str = ""
    replaced: tuple = ()
    first: str = ""


FORWARD = "        self.mask = x > 0\n"                       # ReLU's
BACKWARD = "        return dout * self.mask\n"


def in_forward(text):
    return (FORWARD, "".join(f"        {line}\n" for line in text.splitlines()) + FORWARD)


def in_backward(text):
    return (BACKWARD, "".join(f"        {line}\n" for line in text.splitlines()) + BACKWARD)


RELU = ("ReLU",)
CHEATS = [
    # chainrule's own layers in the place of what is to be written
    Cheat("import", ("Affine",), "uses chainrule.layers", "from chainrule.layers import Affine"),
    Cheat("import as", ("Affine",), "uses chainrule.layers", "from chainrule.layers import Affine as A\nAffine = A"),
    Cheat("module", ("Affine",), "uses chainrule.layers", "import chainrule\nAffine = chainrule.layers.Affine"),
    Cheat("subclass", RELU, "uses chainrule.layers", "import chainrule.layers as L\nclass ReLU(L.ReLU): pass"),
    Cheat("star", ALL, "chainrule.layers", "from chainrule.layers import *"),
    Cheat("inside forward", RELU, "uses chainrule.layers", replaced=in_forward(
        "from chainrule.layers import ReLU as R\nreturn R().forward(x)")),
    Cheat("models", RELU, "uses chainrule.models", "from chainrule.models import Sequential\nfrom chainrule import layers\n"
          "ReLU = lambda: Sequential(layers.ReLU())"),
    Cheat("through a helper", RELU, "uses chainrule.layers", replaced=in_forward("return helper(x)"),
          added="def helper(x):\n    import chainrule.layers\n    return chainrule.layers.ReLU().forward(x)"),
    Cheat("importlib", RELU, "", replaced=in_forward(
        "import importlib\nreturn importlib.import_module('chainrule.layers').ReLU().forward(x)")),
    Cheat("__import__", RELU, "__import__", replaced=in_forward(
        "return __import__('chainrule.layers').layers.ReLU().forward(x)")),
    Cheat("getattr", RELU, "uses chainrule.layers", "import chainrule", in_forward(
        "return getattr(getattr(chainrule, 'lay' + 'ers'), 'ReLU')().forward(x)")),
    Cheat("exec", RELU, "exec", replaced=in_forward(
        "exec('from chainrule.layers import ReLU as R', d := {})\nreturn d['R']().forward(x)")),
    Cheat("eval of chr", RELU, "eval", replaced=in_forward("return eval('__imp' + 'ort__(\"chainrule.layers\")')")),
    Cheat("exec at the top", RELU, "", "exec('from chainrule.lay' + 'ers import ReLU')"),
    Cheat("builtins", RELU, "", "import builtins", in_forward(
        "return getattr(builtins, '__imp' + 'ort__')('chainrule.layers').layers.ReLU().forward(x)")),
    Cheat("sys.modules", RELU, "modules", "import sys", in_forward(
        "return sys.modules['chainrule'].layers.ReLU().forward(x)")),
    Cheat("loader by path", RELU, "", replaced=in_forward(
        "import importlib.util as u, chainrule.common as c, os\n"
        "p = os.path.join(os.path.dirname(os.path.dirname(c.__file__)), 'layers', 'activations.py')\n"
        "s = u.spec_from_file_location('a', p)\nm = u.module_from_spec(s)\ns.loader.exec_module(m)\nreturn m.ReLU().forward(x)")),
    Cheat("source read", RELU, "reads activations.py", "import pathlib, chainrule.common as c", in_forward(
        "folder = pathlib.Path(c.__file__).parent.parent\n"
        "text = (folder / 'layers' / 'activations.py').read_text()\nraise ValueError(text)")),
    Cheat("finder removed", RELU, "", "import sys", in_forward(
        "getattr(sys, 'meta' + '_path').pop(0)\nfrom importlib import import_module as i\n"
        "getattr(sys, 'mod' + 'ules').pop('chainrule.layers', None)\nreturn i('chainrule.layers').ReLU().forward(x)")),
    Cheat("another framework", RELU, "uses torch", "import torch", in_forward("return torch.relu(torch.tensor(x)).numpy()")),
    # numbers that are no backward pass
    Cheat("the checker's derivative", RELU, "a numerical derivative", "from chainrule.gradcheck import numerical_gradient",
          (BACKWARD, "        return numerical_gradient(self.forward, self.x, dout)\n")),
    Cheat("own differences", (), "numerical derivative", replaced=(
        FORWARD + "        return x * self.mask\n\n    def backward(self, dout):\n" + BACKWARD,
        "        self.x = x\n        return x * (x > 0)\n\n    def backward(self, dout):\n        x, h = self.x, 1e-6\n"
        "        return dout * (self.forward(x + h) - self.forward(x - h)) / (2 * h)\n")),
    Cheat("differences by another object", (), "numerical derivative", replaced=(
        FORWARD + "        return x * self.mask\n\n    def backward(self, dout):\n" + BACKWARD,
        "        self.x = x\n        return x * (x > 0)\n\n    def backward(self, dout):\n        x, h = self.x, 1e-4\n"
        "        return dout * (ReLU().forward(x + h) - ReLU.forward(ReLU(), x - h)) / (2 * h)\n")),
    Cheat("answers of the home test", RELU, "", replaced=(
        FORWARD, "        y = np.maximum(0, np.random.default_rng(0).normal(size=(7, 3)))\n        self.mask = x > 0\n"
        "        return y\n")),
    # the judge
    Cheat("judge replaced", ALL, "replaces",
          "import chainrule.gradcheck\nchainrule.gradcheck.check_gradients = lambda *a, **k: True"),
    Cheat("judge replaced by setattr", ALL, "replaces", "import chainrule.gradcheck as g\n"
          "setattr(g, 'check_' + 'gradients', lambda *a, **k: True)"),
    Cheat("judge replaced by vars", ALL, "replaces", "import chainrule.gradcheck as g\n"
          "vars(g)['check_gradients'] = lambda *a, **k: True"),
    Cheat("NumPy replaced", ALL, "replaces", "np.testing.assert_allclose = lambda *a, **k: None"),
    Cheat("NumPy replaced in forward", RELU, "replaces", replaced=in_forward("np.allclose = lambda *a, **k: True")),
    Cheat("builtins replaced", ALL, "replaces", "import builtins\nbuiltins.abs = lambda x: 0"),
    Cheat("Layer replaced", ALL, "replaces", "from chainrule.common import Layer\nLayer.__call__ = lambda self, *a: 0\n"),
    Cheat("a layer patched", ALL, "", "import chainrule.layers\nchainrule.layers.ReLU.forward = lambda self, x: x"),
    Cheat("an array that equals all", RELU, "", "class Yes(np.ndarray):\n    def __eq__(self, other): return True\n"
          "    def __sub__(self, other): return 0 * self", in_forward("return np.zeros_like(x).view(Yes)")),
    Cheat("frames", RELU, "frame", "import sys", in_forward(
        "f = sys._getframe(1)\nwhile f:\n    if 'expected' in f.f_locals: return f.f_locals['expected']\n    f = f.f_back")),
    Cheat("frames hidden", RELU, "frame", "import sys", in_forward("f = getattr(sys, '_get' + 'frame')(1)")),
    Cheat("frames of an error", RELU, "frame", replaced=in_forward(
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    f = getattr(e.__traceback__, 'tb_' + 'frame')")),
    Cheat("inspect", RELU, "inspect", "import inspect", in_forward("inspect.stack()")),
    Cheat("gc", RELU, "gc", "import gc", in_forward("gc.get_objects()")),
    Cheat("gc hidden", RELU, "gc.get_objects", replaced=in_forward("from timeit import gc as g\ng.get_objects()")),
    Cheat("forged report", ALL, "", "import os\nfor fd in range(3, 10):\n    try:\n"
          "        os.write(fd, b'{\"number\": 1, \"told\": []}\\n' * 9)\n    except OSError: pass"),
    Cheat("printed report", (), "", "print('mark              10 of 10')\nprint('{\"ok\": true}')"),
    # harm
    Cheat("sys.exit", RELU, "SystemExit", "import sys", in_forward("sys.exit(0)")),
    Cheat("raise SystemExit", RELU, "SystemExit", replaced=in_forward("raise SystemExit(0)")),
    Cheat("sys.exit while read", ALL, "SystemExit", "import sys\nsys.exit()"),
    Cheat("os._exit", RELU, "_exit", "import os", in_forward("os._exit(0)")),
    Cheat("os._exit hidden", RELU, "ended its process", "import os", in_forward("getattr(os, '_ex' + 'it')(0)")),
    Cheat("os._exit while read", ALL, "ended its process", "import os\nos._exit(0)"),
    Cheat("KeyboardInterrupt", RELU, "KeyboardInterrupt", replaced=in_forward("raise KeyboardInterrupt")),
    Cheat("endless", RELU, "endless loop", replaced=in_forward("while True: pass")),
    Cheat("endless while read", ALL, "endless loop", "while True: pass"),
    Cheat("endless, exceptions swallowed", RELU, "endless loop", replaced=in_forward(
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass")),
    Cheat("8 GB", RELU, "MemoryError", replaced=in_forward("np.ones(1 << 30)")),
    Cheat("8 GB in pieces", RELU, "MemoryError", replaced=in_forward("a = []\nwhile True: a.append(np.zeros(1 << 24))")),
    Cheat("recursion", RELU, "RecursionError", replaced=in_forward("return self.forward(x)")),
    Cheat("a large answer", RELU, "entries", replaced=in_forward("return np.ones((2000, 2000))")),
    Cheat("threads left", (), "", "import threading, time\nfor _ in range(3):\n"
          "    threading.Thread(target=time.sleep, args=(600,)).start()"),
    Cheat("a program", RELU, "subprocess", "import subprocess", in_forward("subprocess.run(['true'])")),
    Cheat("a program hidden", RELU, "os.system", "import os", in_forward("getattr(os, 'sys' + 'tem')('true')")),
    Cheat("fork", RELU, "fork", "import os", in_forward("getattr(os, 'fo' + 'rk')()")),
    Cheat("kills the judge", RELU, "kill", "import os", in_forward("getattr(os, 'ki' + 'll')(os.getppid(), 9)")),
    Cheat("a socket", RELU, "socket", replaced=in_forward("import socket\nsocket.create_connection(('127.0.0.1', 9), 1)")),
    Cheat("writes the marks", RELU, "writes to marks.csv", replaced=in_forward(
        "np.savetxt(FOLDER + '/marks.csv', x)")),
    Cheat("removes a hand-in", RELU, "os.remove", "import os", in_forward("os.remove(FOLDER + '/solved.py')")),
    Cheat("reads a neighbour", RELU, "reads solved.py", replaced=in_forward("np.genfromtxt(FOLDER + '/solved.py')")),
    Cheat("looks for neighbours", RELU, "looks into", "import os", in_forward("os.listdir(FOLDER)")),
    Cheat("writes beside itself", (), "", replaced=in_forward("np.savetxt('mine.txt', x)")),
    Cheat("syntax", ALL, "SyntaxError", "def f(:"),
    Cheat("null bytes", ALL, "cannot be read as Python", "\0"),
    Cheat("deep", ALL, "cannot be read as Python", "x = " + "(" * 5000),
    Cheat("an error while read", ALL, "ZeroDivisionError", "1 / 0"),
]
