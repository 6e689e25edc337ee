"""``symdiff cache``: where compiled kernels are kept, how many there are, and their removal."""

import argparse
import sys
from typing import Any

from symdiff.compilation.disk_cache import DiskCache, open_cache
from symdiff.config import config
from symdiff.errors import CacheError

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add ``cache`` to the commands of the command line.

    Parameters
    ----------
    commands
        What ``ArgumentParser.add_subparsers`` returned.

    Examples
    --------
    >>> parser = argparse.ArgumentParser()
    >>> add_parser(parser.add_subparsers())
    >>> parser.parse_args(["cache", "info"]).action
    'info'
    """
    parser = commands.add_parser(
        "cache",
        help="show or empty the directory of compiled kernels",
        description=(
            "Compiled kernels are kept on disk, so that another process need not compile them "
            "again. The environment says where (SYMDIFF_CACHE_DIR, empty for nowhere) and how many "
            "bytes at most (SYMDIFF_CACHE_SIZE)."
        ),
        epilog="exit status: 0, or 1 when the directory cannot be used",
    )
    parser.add_argument(
        "action",
        choices=("info", "clear"),
        help="info: the directory, how many kernels it holds, and bytes; clear: remove them all",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show the directory, or empty it.

    Parameters
    ----------
    args
        ``action``: ``"info"`` or ``"clear"``.

    Returns
    -------
    int
        0, or 1 when the directory cannot be used.

    Examples
    --------
    >>> run(argparse.Namespace(action="clear"))
    removed ... kernels from ...
    0
    """
    try:
        cache = open_cache()
        if cache is None:
            reason = "it has no bytes" if config.cache_dir else "there is no directory for it"
            print(f"the cache is off: {reason}")
            return 0
        reason = cache.distrust()
        if reason is not None:
            print(f"{cache.path} is not used: {reason}", file=sys.stderr)
            return 1
        if args.action == "clear":
            print(f"removed {cache.clear()} kernels from {cache.path}")
        else:
            print(_info(cache))
    except CacheError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _info(cache: DiskCache) -> str:
    entries = cache.entries()
    rows = {
        "directory": cache.path,
        "kernels": f"{len(entries)}",
        "size": _mib(sum(e.n_bytes for e in entries)),
        "limit": _mib(cache.limit),
    }
    return "\n".join(f"{name:<10} {value}" for name, value in rows.items())


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.1f} MiB"
