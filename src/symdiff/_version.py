"""The version, read by the build and by whatever must name it."""

__version__ = "0.1.0"
