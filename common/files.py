"""Files that are whole or not there: a kill at any instant leaves the old one or the new one, and
nothing beside it but, between the last two steps, a part that the next write takes away."""
import contextlib
import importlib
import json
import os
import re
from pathlib import Path

from . import checks


def path_of(who, name, path) -> Path:
    try:
        path = Path(path)
    except TypeError:
        raise TypeError(checks.wrong(who, name, "be a path", checks.text(path))) from None
    if "\0" in str(path):
        raise ValueError(checks.wrong(who, name, "be a path", f"{str(path)!r}, with a zero in it"))
    return path


@contextlib.contextmanager
def naming(who, path):
    """An error of the operating system says ``who`` was called, and the path asked for."""
    try:
        yield
    except OSError as error:
        if error.errno is None:                             # a sentence of write_whole
            raise type(error)(f"{who}: {error}") from None
        raise type(error)(error.errno, f"{who}: {error.strerror}", str(path)) from None


def write_whole(path, data):
    """Write the bytes ``data`` to the file ``path``: into one without a name first, then to disk,
    then under its name.

    A link stays a link: the file that it leads to is written. A new file has the mode that the
    user's umask gives. OSError, with the old file as it was, for a folder, a device or a pipe, and
    where the disk is full. Where the system knows no files without a name, the first write of
    ``path`` after a kill takes away what was left.
    """
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is a device or a pipe, not a file; name a file")
    sweep(path)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with opened(part) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if not os.path.lexists(part):
                # With src_dir_fd Python calls linkat, which follows the link that stands in /proc.
                os.link(f"/proc/self/fd/{file.fileno()}", part, src_dir_fd=file.fileno(),
                        follow_symlinks=True)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            if not part.is_symlink():
                part.unlink()
        raise
    # the name, too, is to be on the disk; not every system can be asked
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def opened(part):
    """A new file to write into: without a name where the system has such, else ``part``."""
    if os.path.lexists(part):
        raise FileExistsError(
            f"{part} is there already, and this program did not leave it; take it away")
    if hasattr(os, "O_TMPFILE") and os.path.exists("/proc/self/fd"):
        with contextlib.suppress(OSError):
            return os.fdopen(os.open(part.parent, os.O_TMPFILE | os.O_WRONLY, 0o666), "wb")
    return open(part, "xb")


def sweep(path):
    """Take away what processes that have ended left beside ``path``."""
    pattern = re.compile(re.escape(path.name) + r"\.(\d+)\.part")
    with contextlib.suppress(OSError):
        for entry in os.scandir(path.parent):
            found = pattern.fullmatch(entry.name)
            if found and entry.is_file(follow_symlinks=False) and not alive(int(found[1])):
                os.unlink(entry.path)


def alive(process):
    if os.name != "posix":
        # signal 0 would end it there; its own are old ones
        return process != os.getpid()
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return process != os.getpid()


def safetensors(name):
    """A module of the package, or an ImportError that says how to do without."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            "weights are kept in files of the package safetensors, which is not here: pip install "
            "safetensors; where that cannot be, in a browser for example, np.savez('weights.npz', "
            "*model.params) keeps the arrays, in order", name=error.name
        ) from error


def write_arrays(path, arrays, tree):
    """Write a safetensors file of named arrays, and a tree of dicts, lists and numbers."""
    # One entry: safetensors writes several in any order, and equal contents make equal files.
    about = {"chainrule": json.dumps(tree, default=lambda a: a.tolist())}
    write_whole(path, safetensors("safetensors.numpy").save(arrays, metadata=about))


def read_arrays(who, path, writer):
    """Arrays and tree of a file of ``write_arrays``; the tree is None where there is none.

    ValueError, naming ``who`` reads and the ``writer`` of such files, for another one and for one
    that is damaged. Nothing in a file is ever run.
    """
    package = safetensors("safetensors")
    try:
        with package.safe_open(path, framework="numpy") as file:
            names = file.keys()
            arrays = {name: file.get_tensor(name) for name in names}
            texts = file.metadata() or {}
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{who}: there is no file {path}") from error
    except (OSError, package.SafetensorError) as error:
        raise ValueError(f"{who}: {path} should be a file that {writer} wrote, whole; "
                         f"reading it failed: {error}") from error
    try:
        return arrays, json.loads(texts["chainrule"]) if "chainrule" in texts else None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{who}: {path} is damaged, its metadata cannot be read: "
                         f"{error}") from error
