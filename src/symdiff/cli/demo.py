"""``symdiff demo``: fit 27 NIST problems from both starting points, or each pixel of a picture."""

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from symdiff.cli import picture, pixels, report
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
        help="fit the 27 NIST StRD problems and compare with SciPy, or pixels of a picture",
        description=(
            "Fit the 27 NIST StRD nonlinear regression problems from both of their starting points "
            "with symdiff.curve_fit and scipy.optimize.curve_fit, both with default options, and "
            "compare the answers with the certified ones. Or, with 'pixels', make a series of 16 "
            "noisy pictures of 512 x 512 pixels and fit a decay to each with symdiff.fit_many."
        ),
        epilog=(
            "exit status: 0 when every fit converged to at least "
            f"{REQUIRED_DIGITS} certified digits, or 99 % of the pixels with errors as predicted; "
            "1 when not, 2 on misuse"
        ),
    )
    parser.add_argument(
        "what", nargs="?", choices=("nist", "pixels"), default="nist", help="which demo ('nist')"
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
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fit the problems and print the report.

    Parameters
    ----------
    args
        ``what`` ("nist" or "pixels"), ``only`` (a list of problems, or None for all), ``json`` and
        ``plot`` (a path or None).

    Returns
    -------
    int
        0 when every fit is solved, 1 when not, 2 on misuse.

    Examples
    --------
    >>> args = argparse.Namespace(only=[PROBLEMS["Misra1a"]], json=False, plot=None)
    >>> run(args)  # doctest: +SKIP
    0
    """
    if getattr(args, "what", "nist") == "pixels":
        if args.only:
            print("symdiff demo pixels: --only is for NIST's problems", file=sys.stderr)
            return 2
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
