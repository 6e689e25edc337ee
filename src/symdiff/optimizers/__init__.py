"""Minimisation: solvers that are traced like the function they minimise."""
