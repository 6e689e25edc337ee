"""From a Python function to a Program: tracers and NumPy's protocols."""
