"""Kernels for CUDA: the schedule as source for numba.cuda, which a GPU or its simulator runs."""
