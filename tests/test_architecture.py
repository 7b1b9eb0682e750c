"""The law of the house: common <- layers, optimizers, datasets <- models; no import runs up or in a circle; imports are cheap."""
import ast
import configparser
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("common", "layers", "optimizers", "datasets", "models")
BELOW = {"common": (), "layers": ("common",), "optimizers": ("common",), "datasets": ("common",),
         "models": ("common", "layers", "optimizers", "datasets")}
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path):
    """The package of chainrule that each import reaches."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ("chainrule", *inside)[:len(inside) + 2 - node.level]
            target = (*base, *(node.module or "").split(".")) if node.module else base
            names = [target[1]] if len(target) > 1 else [alias.name for alias in node.names]
            yield from names
        elif isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not any(m.split(".")[0] in ("chainrule", *PACKAGES) for m in modules), f"{path}: import relatively"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(path):
    package = path.relative_to(ROOT).parts[0]
    for target in imported(path):
        assert target == package or target in BELOW[package], f"{path} imports {target}"


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
    found = {".".join(("chainrule", *path.parent.relative_to(ROOT).parts)) for path in FILES}
    assert found == set(config["options"]["packages"].split())
    assert all((ROOT / Path(*name.split(".")[1:]) / "py.typed").exists() for name in found)


@pytest.mark.parametrize("package", [f"chainrule.{name}" for name in PACKAGES])
def test_all_names_what_is_there(package):
    module = importlib.import_module(package)
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(getattr(module, name).__doc__ for name in module.__all__)


def test_importing_loads_no_heavy_library():
    heavy = "{'matplotlib', 'tqdm', 'pooch', 'safetensors', 'scipy', 'dask', 'torch'}"
    code = "import sys; " + "; ".join(f"import chainrule.{name}" for name in PACKAGES) + f"; print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def modules():
    for name in PACKAGES:
        package = importlib.import_module(f"chainrule.{name}")
        yield f"chainrule.{name}"
        yield from (info.name for info in pkgutil.walk_packages(package.__path__, f"chainrule.{name}."))


@pytest.mark.parametrize("name", sorted(modules()))
def test_doctests(name):
    import doctest
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not failed
