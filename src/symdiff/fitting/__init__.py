"""Curve fitting and nonlinear least squares, the whole loop in one kernel."""
