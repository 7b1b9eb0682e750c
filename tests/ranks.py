"""Programs on several ranks of MPI."""
import os
import shutil
import subprocess
import sys

import pytest

MISSING = "mpi4py, or mpiexec, is not installed (extra mpi, and openmpi or mpich)"
# One thread for each rank. Open MPI refuses more ranks than cores unless it is told otherwise.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
               "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}


def launcher():
    """The path of mpiexec; the test is skipped where there is no MPI."""
    pytest.importorskip("mpi4py", reason=MISSING)
    beside = os.path.dirname(sys.executable)                # where a wheel of MPI puts it
    found = shutil.which("mpiexec", path=beside) or shutil.which("mpiexec")
    if not found:
        pytest.skip(MISSING)
    return found


def mpiexec(n, *arguments, seconds=120, **options):
    """How ``python *arguments`` on n ranks ended."""
    return subprocess.run([launcher(), "-n", str(n), sys.executable, *arguments], text=True,
                          capture_output=True, timeout=seconds,
                          env={**os.environ, **ENVIRONMENT}, **options)
