"""``symdiff demo``: fit all 27 NIST problems from both starting points, beside SciPy.

``symdiff demo train`` is in `symdiff.cli.digits`, ``symdiff demo pixels`` in `symdiff.cli.pixels`.
"""

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from symdiff.cli import digits, picture, pixels, report
from symdiff.cli.measuring import Fit, measure
from symdiff.nist import PROBLEMS, REQUIRED_DIGITS, Problem

__all__ = ["add_parser", "run"]

# Shown as a formula when all problems are fitted: its derivatives still fit on a line.
_SHOWPIECE = "Rat43"


def add_parser(commands: Any) -> None:
    """Add ``demo`` to the commands of the command line.

    Parameters
    ----------
    commands
        What ``ArgumentParser.add_subparsers`` returned.

    Examples
    --------
    >>> parser = argparse.ArgumentParser()
    >>> add_parser(parser.add_subparsers())
    >>> parser.parse_args(["demo", "--only", "misra1a"]).only
    [Problem(name='Misra1a', ...)]
    """
    parser = commands.add_parser(
        "demo",
        help="fit the problems of NIST beside SciPy, train a network, or fit a picture's pixels",
        description=(
            "Fit the 27 NIST StRD nonlinear regression problems from both of their starting points "
            "with symdiff.curve_fit and scipy.optimize.curve_fit, both with default options, and "
            "compare the answers with the certified ones. Or, with 'train', train a small network "
            "to read handwritten digits (UCI, 1797 images) with symdiff.train. Or, with 'pixels', "
            "make a series of 16 noisy pictures of 512 x 512 pixels and fit a decay to each pixel "
            "with symdiff.fit_many."
        ),
        epilog=(
            "exit status: 0 when every fit converged to at least "
            f"{REQUIRED_DIGITS} certified digits, 1 when one did not, 2 on misuse; "
            f"for 'train' 0 when the test accuracy is at least {digits.REQUIRED_ACCURACY:.0%}, "
            "for 'pixels' when 99 % of them converged with errors as predicted"
        ),
    )
    parser.add_argument(
        "what",
        nargs="?",
        choices=("nist", "train", "pixels"),
        default="nist",
        help="the problems of NIST (the default), the network, or the picture",
    )
    parser.add_argument(
        "--only",
        metavar="NAME",
        type=_problem,
        action="append",
        help="fit this problem only; may be given several times",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON list of objects, and nothing else"
    )
    parser.add_argument(
        "--plot",
        metavar="FILE",
        type=_picture_path,
        help="write a picture of data and fits (.png, .pdf, .svg; needs the extra 'plot')",
    )
    parser.set_defaults(run=run, misuse=parser.error)


def run(args: argparse.Namespace) -> int:
    """Fit the problems and print the report.

    Parameters
    ----------
    args
        ``what`` ("nist", "train" or "pixels"), ``only`` (a list of problems, or None for all),
        ``json``, ``plot`` (a path or None), and ``misuse``, which does not return.

    Returns
    -------
    int
        0 when every fit is solved, the network has learnt, or the pixels are fitted, else 1.

    Examples
    --------
    >>> args = argparse.Namespace(what="nist", only=[PROBLEMS["Misra1a"]], json=False, plot=None)
    >>> run(args)  # doctest: +SKIP
    0
    """
    if args.what == "train":
        if args.only or args.plot is not None:
            args.misuse("--only and --plot go with the problems of NIST, not with 'train'")
        return digits.run(args.json)
    if args.what == "pixels":
        if args.only:
            args.misuse("--only goes with the problems of NIST, not with 'pixels'")
        return pixels.run(args)
    problems = list(dict.fromkeys(args.only or PROBLEMS.values()))
    fits = _fit_all(problems)
    if args.json:
        print(report.as_json(fits))
    else:
        print(report.as_table(fits))
        print()
        print(report.summary(fits))
        print()
        shown = PROBLEMS[_SHOWPIECE] if PROBLEMS[_SHOWPIECE] in problems else problems[0]
        print(report.jacobian(shown))
    if args.plot is not None:
        picture.draw(fits, args.plot)
        print(f"Picture written to {args.plot}", file=sys.stderr)
    return 0 if all(fit.solved for fit in fits) else 1


def _fit_all(problems: Sequence[Problem]) -> list[Fit]:
    """Fit every problem from both starts, saying on standard error how far we are."""
    runs = [(problem, start) for problem in problems for start in (1, 2)]
    return [measure(problem, start) for problem, start in _progress(runs)]


def _progress(runs: Sequence[tuple[Problem, int]]) -> Iterable[tuple[Problem, int]]:
    """Pass the runs on; a terminal gets one line that is written over, a file a line each."""
    rewrite = sys.stderr.isatty()
    begin, end = ("\r\x1b[K", "") if rewrite else ("", "\n")
    for number, (problem, start) in enumerate(runs, 1):
        text = f"[{number}/{len(runs)}] {problem.name} from start {start}"
        print(begin + text, end=end, file=sys.stderr, flush=True)
        yield problem, start
    if rewrite:
        print(begin, end="", file=sys.stderr, flush=True)


def _problem(name: str) -> Problem:
    """Look a problem up, whatever its capitals."""
    by_lower_case = {known.lower(): problem for known, problem in PROBLEMS.items()}
    if name.lower() in by_lower_case:
        return by_lower_case[name.lower()]
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=4)
    known = [by_lower_case[key].name for key in close]
    hint = f"did you mean {', '.join(known)}?" if known else f"known are {', '.join(PROBLEMS)}"
    raise argparse.ArgumentTypeError(f"there is no problem {name!r}; {hint}")


def _picture_path(text: str) -> Path:
    """Refuse, before the work, a file that could not be written after it."""
    path = Path(text)
    complaint = picture.complaint(path)
    if complaint:
        raise argparse.ArgumentTypeError(complaint)
    return path
