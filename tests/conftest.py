"""Published data, where there is any on this machine; a measure of memory."""
import contextlib
import os
import tracemalloc
from pathlib import Path

import hypothesis
import pytest

# Workers of pytest-xdist share the processors, and threads of BLAS that wait for one wait awake: two workers with two
# threads each take three times as long for the chapters' answers. Without workers, BLAS and chainrule have all threads.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):       # before NumPy is imported
        os.environ.setdefault(name, "1")

# The same examples at every run, however busy the machine is.
hypothesis.settings.register_profile("chainrule", deadline=None, derandomize=True)
hypothesis.settings.load_profile("chainrule")


def pytest_addoption(parser):
    parser.addoption("--floor", choices=("compiled", "numpy"), help=(
        "run arrays of every size on this floor, compiled loops or NumPy (without it, large ones on "
        "compiled loops where numba is installed)"))


@pytest.fixture(autouse=True, scope="session")
def floor(request):
    from chainrule.common.engine import compiled
    name = request.config.getoption("--floor")
    if name == "compiled" and not compiled.installed():
        pytest.exit("--floor compiled needs numba: pip install numba", returncode=1)
    with compiled.floor(name, large=1) if name else contextlib.nullcontext():
        yield


@pytest.fixture
def data():
    """A function of names of files: the folder that has them, else the test is skipped."""
    def folder(*names):
        at = os.environ.get("CHAINRULE_DATA")
        if not at:
            pytest.skip("CHAINRULE_DATA, which names the folder of published data, is not set")
        missing = [name for name in names if not Path(at, name).exists()]
        if missing:
            pytest.skip(f"CHAINRULE_DATA has no {missing[0]}")
        return at
    return folder


@pytest.fixture
def within():
    """A context in which Python may allocate so many bytes at once."""
    @contextlib.contextmanager
    def within(most):
        tracemalloc.start()
        try:
            yield
            assert tracemalloc.get_traced_memory()[1] < most
        finally:
            tracemalloc.stop()
    return within
