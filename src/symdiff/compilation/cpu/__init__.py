"""The CPU target: LLVM code, its entry points, and solvers compiled by numba."""
