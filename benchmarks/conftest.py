"""Rivals, each skipped where it is not installed."""

import importlib

import pytest


@pytest.fixture
def rival():
    """Import a rival's module, or skip the benchmark."""

    def load(name):
        try:
            return importlib.import_module(name)
        except ImportError:
            pytest.skip(f"{name} is not installed")

    return load
