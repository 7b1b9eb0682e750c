"""The law of the house: common <- layers, optimizers, datasets <- models; no import runs up or in a circle; imports are cheap."""
import ast
import configparser
import graphlib
import importlib
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.errors import refused

ROOT = Path(__file__).parent.parent
PACKAGES = ("common", "layers", "optimizers", "datasets", "models")
BELOW = {"common": (), "layers": ("common",), "optimizers": ("common",), "datasets": ("common",),
         "models": ("common", "layers", "optimizers", "datasets")}
ENGINE = ("common.engine",)
ROOMS = ("training", "gradcheck", "plotting")              # of common, under names of their own
SHELVES = ("models.images", "models.text", "models.command")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path):
    """The package of chainrule that each import reaches."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = path.relative_to(ROOT).parts[:-1]
    if inside[0] == "common" and inside[1:] and inside[1] != "engine":
        inside = inside[1:] if inside[1] != "front" else ()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ("chainrule", *inside)[:len(inside) + 2 - node.level]
            target = (*base, *(node.module or "").split(".")) if node.module else base
            names = [target[1]] if len(target) > 1 else [alias.name for alias in node.names]
            yield from ("common" if name in ROOMS else name for name in names)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not any(m.split(".")[0] in ("chainrule", *PACKAGES) for m in modules), f"{path}: import relatively"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(path):
    package = path.relative_to(ROOT).parts[0]
    if path.parent.name == "front":
        return                                                  # the door opens on every floor, when it is asked to
    for target in imported(path):
        assert target in (package, *BELOW[package], "__version__"), f"{path} imports {target}"


def name_of(path):
    """The module of a file, as a tuple, and whether it is a package."""
    inside = path.relative_to(ROOT).with_suffix("").parts
    if inside[0] == "common" and len(inside) > 2:
        inside = inside[2:] if inside[1] == "front" else inside[1:]
    package = inside[-1] == "__init__"
    return ("chainrule", *inside[:len(inside) - package]), package


def test_no_import_runs_in_a_circle():
    """Those within functions count, too."""
    modules = {name_of(path)[0] for path in FILES}
    imports = {}
    for path in FILES:
        name, package = name_of(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = (*name[:len(name) + package - node.level], *(node.module or "").split(".") * bool(node.module))
                targets = [(*base, alias.name) for alias in node.names]
                imports.setdefault(name, set()).update(t if t in modules else base for t in targets)
    try:
        list(graphlib.TopologicalSorter({name: to - {name[:1]} for name, to in imports.items()}).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" <- ".join(".".join(name) for name in error.args[1]))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_libraries_load_where_they_are_used(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            heavy = {"matplotlib", "tqdm", "pooch", "safetensors", "scipy", "dask"} & {name.split(".")[0] for name in names}
            assert not heavy, f"{path} imports {heavy} at the top"


def test_every_folder_is_in_the_package_map():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    folders = dict(line.split(" = ") for line in config["options"]["package_dir"].strip().splitlines())
    assert set(folders) == set(config["options"]["packages"].split())
    assert folders.pop("chainrule.notebooks") == "notebooks"                 # files to copy, no code
    assert {ROOT / folder for folder in folders.values()} == {path.parent for path in FILES}
    assert all((ROOT / folder / "py.typed").exists() for folder in folders.values())


@pytest.mark.parametrize("package", ["chainrule", *(f"chainrule.{name}" for name in PACKAGES + ROOMS + SHELVES[:2])])
def test_all_names_what_is_there(package):
    module = importlib.import_module(package)
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(getattr(module, name).__doc__ for name in module.__all__)


def test_importing_loads_no_heavy_library():
    heavy = "{'matplotlib', 'tqdm', 'pooch', 'safetensors', 'scipy', 'dask', 'torch', 'sklearn', 'pandas'}"
    code = "import sys; " + "; ".join(f"import chainrule.{name}" for name in PACKAGES) + f"; print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def run(code, folder, *options):
    return subprocess.run([sys.executable, *options, "-c", code], cwd=folder, capture_output=True, text=True, encoding="utf-8")


def test_packages_are_there_after_import_chainrule(tmp_path):
    code = "import chainrule; print(chainrule.layers.Affine.__name__, chainrule.training.Trainer.__name__, chainrule.__version__)"
    assert run(code, tmp_path).stdout.split()[:2] == ["Affine", "Trainer"]


def test_a_folder_of_the_same_name_beside_the_script_does_no_harm(tmp_path):
    for folder in "chainrule", "layers", "datasets", "common":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "layers.py").write_text("x = 1")
    config, site = configparser.ConfigParser(), tmp_path / "site"          # the packages as a wheel lays them out
    config.read(ROOT / "setup.cfg")
    for line in config["options"]["package_dir"].strip().splitlines():
        name, folder = line.split(" = ")
        shutil.copytree(ROOT / folder, site / name.replace(".", "/"), dirs_exist_ok=True)
    code = f"import sys; sys.path.append({str(site)!r}); from chainrule.layers import Affine; print(Affine.__name__)"
    result = run(code, tmp_path)
    assert (result.stdout, result.stderr) == ("Affine\n", "")


def test_an_unknown_package_is_named():
    import chainrule
    with refused(AttributeError, "… 'chainrule' … 'layer'; … layers…"):
        _ = chainrule.layer


def test_no_old_name_is_left(tmp_path):
    assert run("import chainrule.common.training", tmp_path).returncode


def test_python_m_chainrule_is_the_command_line(tmp_path):
    import chainrule
    result = subprocess.run([sys.executable, "-m", "chainrule", "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == (f"chainrule {chainrule.__version__}\n", "")


def modules():
    yield "chainrule"
    for name in PACKAGES + ENGINE + ROOMS + SHELVES:
        package = importlib.import_module(f"chainrule.{name}")
        yield f"chainrule.{name}"
        yield from (info.name for info in pkgutil.iter_modules(package.__path__, f"chainrule.{name}.") if not info.ispkg)


@pytest.mark.parametrize("name", sorted(modules()))
def test_doctests(name):
    import doctest
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")                                     # an example need not say so
    assert not failed
