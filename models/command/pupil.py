"""A process of its own for one hand-in: it runs the student's code and answers on a pipe what the
layers give.

``marking`` starts it as a script, and knows what the layers should give: here is nothing to read or
to replace. What a layer has no business with (chainrule's layers, other files, programs, sockets,
frames) is refused, and told.
"""
import contextlib
import importlib
import importlib.abc
import importlib.util
import json
import linecache
import os
import sys
import traceback
import types
from pathlib import Path

LARGEST = 1_000_000  # entries of an array that a layer gives
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn",
            "os.spawn", "os.startfile", "os.kill", "os.killpg", "pty.spawn")
LIMITS = ("resource.setrlimit", "resource.prlimit", "sys.addaudithook")
FRAMES = ("sys._getframe", "sys._current_frames", "sys._current_exceptions", "gc.get_objects",
          "gc.get_referrers", "gc.get_referents", "object.__getattr__", "sys.settrace",
          "sys.setprofile")
MOVING = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.link",
          "os.symlink", "os.truncate", "os.utime", "shutil.rmtree", "shutil.move", "os.chdir")


def channel():
    """The pipe from and to the judge, out of the way of ``input`` and ``print``."""
    ends = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    return ends


def limit(memory):
    """At most ``memory`` bytes, where the system can say so (not on Windows)."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource
        for what, most in (("AS", memory), ("FSIZE", 1 << 24), ("CORE", 0)):
            resource.setrlimit(getattr(resource, f"RLIMIT_{what}"), (most, most))


class Refused(ImportError):
    """What a hand-in is told that uses what it should write."""


class Placeholder(type):
    """Stands for a name that is not to be used: its import is free, its use refused."""
    tell = None

    def __call__(cls, *arguments, **named):
        Placeholder.tell(f"uses {cls.stands_for}: the layers are to be written, not imported")

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        Placeholder.tell(f"uses {cls.stands_for}.{name}: the layers are to be written, not "
                         "imported")


class Stubs(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules of placeholders in the place of chainrule's layers and of other frameworks."""

    def __init__(self, names):
        self.names = tuple(names)

    def find_spec(self, name, path=None, target=None):
        if any(name == n or name.startswith(n + ".") for n in self.names):
            return importlib.util.spec_from_loader(name, self, is_package=True)
        return None

    def exec_module(self, module):
        def missing(name, of=module.__name__):
            if name.startswith("__"):
                raise AttributeError(name)
            return Placeholder(name, (), {"stands_for": f"{of}.{name}"})
        module.__getattr__ = missing


def watch(told, home, shut, ours, pipe):
    """Refuse, from now on, what a layer has no business with, and collect it in ``told``. The
    folders ``shut`` are not to be read; files ``ours`` and numbers ``pipe`` are the judge's."""
    def refuse(what):
        told.append(what)
        raise PermissionError(f"marking refuses: {what}")

    files = of_files(home, shut, pipe, refuse)
    by_student, by_library, busy = askers(ours)

    def hook(event, arguments):
        if event in files:
            files[event](event, *arguments)
        elif event in PROGRAMS:
            if by_library():
                raise PermissionError("marking starts no program")
            refuse(f"starts or ends a program ({event})")
        elif event in LIMITS:
            refuse(f"changes the limits of its process ({event})")
        elif event.startswith(("socket.", "ctypes.")):
            if not by_library():
                refuse(f"uses {event.split('.')[0]}")
        elif event in FRAMES:
            if event == "object.__getattr__" and arguments[1] not in ("tb_frame", "gi_frame",
                                                                      "cr_frame", "__globals__"):
                return
            if not busy and by_student():
                refuse(f"looks into the frames and objects of its process ({event})")

    sys.addaudithook(hook)


def of_files(home, shut, pipe, refuse):
    """For each event of files a function that refuses what is not the hand-in's own."""
    realpath, separator, hand_in = os.path.realpath, os.sep, os.path.realpath(home)

    def inside(path, folders):
        path = realpath(os.fsdecode(path)) + separator
        return any(path.startswith(folder + separator) for folder in folders)

    def opened(event, path, mode, flags):
        if isinstance(path, int):
            if path in pipe:
                refuse("opens the judge's channel")
            return
        writes = (flags or 0) & WRITING if mode is None else set(mode) & set("wax+")
        if writes and os.fsdecode(path) != os.devnull and not inside(path, (hand_in,)):
            refuse(f"writes to {os.path.basename(os.fsdecode(path))}")
        if inside(path, shut):
            refuse(f"reads {os.path.basename(os.fsdecode(path))}")

    def listed(event, path):
        if path is not None and not isinstance(path, int) and inside(path, shut):
            refuse("looks into the folder of the hand-ins")

    def moved(event, *arguments):
        if not all(inside(path, (hand_in,)) for path in arguments
                   if isinstance(path, str | bytes | os.PathLike)):
            refuse(f"changes files ({event})")

    return {"open": opened, "os.listdir": listed, "os.scandir": listed,
            **dict.fromkeys(MOVING, moved)}


def askers(ours):
    """Two functions that say whose code is behind an event, and a list that is full while they
    look."""
    frame_of, busy = sys._getframe, []
    installed = tuple({os.path.realpath(p) + os.sep for p in (sys.prefix, sys.base_prefix)})
    standard = tuple(p + os.sep for p in {os.path.dirname(os.__file__), os.path.realpath(
        os.path.dirname(os.__file__))} if "site-packages" not in p)

    def first(skipped):
        """The file of the first frame behind the event that is not ``skipped``, or ""."""
        busy.append(True)
        frame = frame_of(3)
        busy.pop()
        while frame is not None and skipped(frame.f_code.co_filename):
            frame = frame.f_back
        return "" if frame is None else frame.f_code.co_filename

    def by_student():
        """Whether it stands in the hand-in, or in code without a file."""
        file = first(lambda file: file.endswith("inspect.py"))
        return not file.startswith((*ours, *installed, "<frozen", "<__array_function__"))

    def by_library():
        """Whether it is an installed package's, which may start a program as it is imported."""
        return "site-packages" in first(lambda file: file.startswith((*standard, "<frozen")))

    return by_student, by_library, busy


def fingerprint():
    """Every name of Python's builtins, NumPy and chainrule, and what stands under it."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name in ("builtins", "numpy", "numpy.testing", "numpy.linalg", "numpy.random", "math") \
                or name.split(".")[0] == "chainrule":
            for key, value in list(vars(module).items()):
                if key.startswith("__") and key not in ("__import__", "__build_class__") \
                        or not callable(value):
                    continue
                found[name, key] = value
                if isinstance(value, type) and value.__module__.startswith("chainrule"):
                    found.update({(f"{name}.{key}", k): v for k, v in vars(value).items()
                                  if callable(v)})
    return found


def touched(before):
    now = fingerprint()
    return [".".join(name) for name, value in before.items() if now.get(name) is not value]


def coded(value):
    """An array as JSON can hold it; ``{"strange": …}`` for what is none."""
    import numpy as np
    if value is None:
        return None
    if isinstance(value, tuple | list):
        try:
            same = {np.shape(v) for v in value}
        except Exception:
            same = set()
        if isinstance(value, tuple) or len(same) != 1:
            return [coded(v) for v in value]
    try:
        a = np.asarray(value)
        if a.dtype.kind not in "biuf":
            return {"strange": f"an array of {a.dtype}" if isinstance(value, np.ndarray)
                    else type(value).__name__}
        if a.size > LARGEST:
            return {"strange": f"an array of {a.size:,} entries"}
        return {"dtype": str(a.dtype), "shape": list(a.shape),
                "values": a.astype(float).ravel().tolist()}
    except Exception:
        return {"strange": type(value).__name__}


def decoded(item):
    import numpy as np
    return np.array(item["values"], dtype=item["dtype"]).reshape(item["shape"])


def story(error, path):
    """An exception as (kind, sentence): which line of the hand-in, and what it says."""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__)
             if frame.f_code.co_filename == path]
    at = f"line {lines[-1]}: " if lines else ""
    if isinstance(error, SyntaxError) and error.filename in (path, "<unknown>"):
        at = f"line {error.lineno}: "
        return "syntax", f"{at}{type(error).__name__}: {error.msg}"
    kind = ("memory" if isinstance(error, MemoryError) else
            "exits" if isinstance(error, SystemExit) else
            "interrupts" if isinstance(error, KeyboardInterrupt | GeneratorExit) else
            "not-begun" if isinstance(error, NotImplementedError) else "raises")
    try:
        words = (str(error).strip().splitlines() or [""])[0][:300]
    except Exception:
        words = ""
    return kind, f"{at}{type(error).__name__}" + (f": {words}" if words else "")


def trial(layer, given, request, answer):
    """Two forwards and, if asked for, two backwards, up to the first error."""
    import numpy as np
    grads = list(getattr(layer, "grads", ()) or ())
    answer["stage"] = "forward"
    inputs = [x.copy() for x in given]
    answer["y"] = coded(layer.forward(*inputs))
    answer["changed"] = [i for i, (x, was) in enumerate(zip(inputs, given))
                         if not np.array_equal(x, was)]
    answer["y_again"] = coded(layer.forward(*(x.copy() for x in given)))
    if request["do"] == "forward":
        return
    answer["stage"] = "backward"
    dout, count, kind = decoded(request["dout"]), 0, type(layer)
    forward = getattr(kind, "forward", None)
    method = isinstance(forward, types.FunctionType) and layer.forward != forward

    def counted(layer, *arguments, **named):
        nonlocal count  # of calls at other inputs than the given ones, of any object of the class
        count += not all(map(np.array_equal, arguments, given))
        return forward(layer, *arguments, **named)

    if method:
        kind.forward = counted
    try:
        for key in "first", "second":
            upstream = dout.copy() if dout.ndim else float(dout)
            dx = layer.backward(upstream)
            answer[key] = {"dx": coded(dx), "grads": [coded(g) for g in grads]}
            if not np.array_equal(upstream, dout):
                answer["changed_dout"] = True
    finally:
        if method:
            kind.forward = forward
    answer["forwards"] = count


def diagnosis(layer, inputs):
    report = sys.modules["chainrule.gradcheck"].check_gradients(layer, *inputs, rng=0)
    return [{"code": str(f.code), "where": str(f.where), "evidence": str(f.evidence),
             "line": f.line, "text": str(f.text)}
            for f in report.findings if f.code not in ("kink", "precision")]


def beside(name):
    """A module whose file lies beside this one."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stage(path, home, names, told):
    """The module in which the hand-in runs, placeholders around it."""
    def tell(what):
        told.append(what)
        raise Refused(f"marking refuses: {what}")

    Placeholder.tell = tell
    name = Path(path).stem
    taken = name in sys.modules or name in sys.stdlib_module_names    # a student of that name
    module = types.ModuleType(name + "_" * taken)
    module.__file__ = path
    sys.modules[module.__name__] = module
    sys.modules["__main__"] = types.ModuleType("__main__")  # not this file
    sys.path.append(home)
    sys.meta_path.insert(0, Stubs(names))
    linecache.getlines(path)
    return module


def served(module, request, answer):
    answer["number"] = request["number"]
    if not hasattr(module, request["name"]):
        answer["missing"] = True
        return
    params, inputs = ([decoded(item) for item in request[key]] for key in ("params", "inputs"))
    answer["stage"] = "made"
    layer = getattr(module, request["name"])(*params, **request["options"])
    if request["do"] == "check":
        answer["findings"] = diagnosis(layer, inputs)
    else:
        trial(layer, inputs, request, answer)


def main():
    into, out = channel()

    def send(answer):
        out.write(json.dumps(answer).encode() + b"\n")
        out.flush()

    setup = json.loads(into.readline())
    path, told = setup["path"], []
    for name in ("chainrule.common", "chainrule.gradcheck"):
        importlib.import_module(name)
    scanning = beside("scan")
    limit(setup["memory"])
    source = Path(path).read_bytes()
    try:
        send({"scan": scanning.scan(source, setup["names"])})
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return send({"kind": "syntax", "error": story(error, path)[1]})
    module = stage(path, setup["home"], (*scanning.THEIRS[:2], *scanning.FRAMEWORKS), told)
    before = fingerprint()
    checker = os.path.dirname(sys.modules["chainrule.gradcheck"].__file__)
    watch(told, setup["home"], setup["shut"], (os.path.abspath(__file__), checker),
          (into.fileno(), out.fileno()))

    def answering(work):
        """What ``work`` gives, or its error, and what was refused or touched meanwhile."""
        answer = {}
        try:
            work(answer)
        except BaseException as error:
            answer["kind"], answer["error"] = story(error, path)
        if names := touched(before):
            told.append(f"replaces {names[0]}: the judge is not to be touched")
        answer["told"] = told[:3]
        told.clear()
        send(answer)

    answering(lambda answer: exec(compile(source, path, "exec"), vars(module)))
    for line in into:
        request = json.loads(line)
        answering(lambda answer, request=request: served(module, request, answer))


if __name__ == "__main__":
    main()
