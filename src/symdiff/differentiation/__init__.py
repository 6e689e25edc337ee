"""Derivatives: from Program to Program, forward and reverse."""
