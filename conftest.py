"""Without a GPU, kernels for CUDA run in numba's simulator, which has to be chosen before import.

With one, ``NUMBA_ENABLE_CUDASIM=0 python -m pytest -m gpu`` runs what needs it.
"""

import os

os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")
