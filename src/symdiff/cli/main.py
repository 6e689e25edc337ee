"""The command line ``symdiff``: what may be asked, and what is refused."""

import argparse
from collections.abc import Sequence

from symdiff._version import __version__
from symdiff.cli import bench, cache, demo

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        The arguments after the program's name, by default those of the process.

    Returns
    -------
    int
        The exit status: 0 when all went well. 1 when ``demo`` could not solve a fit, an answer in
        ``bench`` was wrong, or the directory of ``cache`` cannot be used.

    Raises
    ------
    SystemExit
        With status 2 on misuse, 0 after ``--help`` and ``--version``.

    Examples
    --------
    >>> main(["demo", "--only", "Misra1"])
    Traceback (most recent call last):
    SystemExit: 2
    """
    parser = argparse.ArgumentParser(
        prog="symdiff",
        description="Compile NumPy functions and their exact symbolic derivatives to fast kernels.",
    )
    parser.add_argument("--version", action="version", version=f"symdiff {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo.add_parser(commands)
    bench.add_parser(commands)
    cache.add_parser(commands)
    args = parser.parse_args(argv)
    return args.run(args)
