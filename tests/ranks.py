"""Programs on several ranks of MPI."""
import os
import shutil
import subprocess
import sys

import pytest

MISSING = "mpi4py, or mpiexec, is not installed (extra mpi, and openmpi or mpich)"
# One thread a rank; more ranks than cores. The last line is for Open MPI, which refuses that otherwise.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
               "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}


def mpiexec(n, *arguments, seconds=120, **options):
    """The end of ``python *arguments`` on n ranks; the test is skipped where there is no MPI."""
    pytest.importorskip("mpi4py", reason=MISSING)
    found = shutil.which("mpiexec", path=os.path.dirname(sys.executable)) or shutil.which("mpiexec")
    if not found:
        pytest.skip(MISSING)
    return subprocess.run([found, "-n", str(n), sys.executable, *arguments], capture_output=True, text=True,
                          timeout=seconds, env={**os.environ, **ENVIRONMENT}, **options)
