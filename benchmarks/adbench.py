"""ADBench's objectives with another package in the place of NumPy."""

import importlib.util

import adbench_models


def models_with(numpy_like):
    """Give a copy of the plain formulations that calls a package with NumPy's interface."""
    spec = importlib.util.spec_from_file_location("adbench_models_copy", adbench_models.__file__)
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    copy.np = numpy_like
    return copy
