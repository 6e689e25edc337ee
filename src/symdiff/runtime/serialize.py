"""`save` and `load`: Programs on disk, as plain data."""

from __future__ import annotations

import os

from symdiff.errors import CacheError, ShapeError, at_user_line
from symdiff.program import serialization
from symdiff.program.program import Program
from symdiff.runtime.function import Function
from symdiff.runtime.signatures import Signature
from symdiff.tracing.trace import Spec, Trace, matches
from symdiff.trees import Tree, leaf

__all__ = ["load"]


def load(path: str | os.PathLike[str]) -> Function:
    """Read a function that `Function.save` has written.

    Nothing in the file is executed. The function takes the Program's inputs one by one, by
    position, and gives its output, or a tuple of its outputs.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    CacheError
        The file is not a saved Program, or of another version of the format.

    Examples
    --------
    >>> import tempfile, pathlib, symdiff as sd
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "square.json"
    >>> sd.grad(lambda x: x**2).save(path, 1.0)
    >>> sd.load(path)(3.0)
    6.0
    """
    try:
        program = Program.from_dict(serialization.load_dict(path))
    except CacheError as error:
        raise CacheError(f"{os.fspath(path)}: {error}") from None
    outputs = tuple(leaf for _ in program.outputs)
    tree = leaf if len(outputs) == 1 else Tree(tuple, (), outputs)

    def build(signature: Signature) -> Trace:
        specs = [s for s in signature.leaves if isinstance(s, Spec)]
        count = len(program.inputs)
        is_flat = len(signature.tree.children[0].children) == len(signature.leaves) == count
        if not is_flat or len(specs) != count:
            raise ShapeError(
                at_user_line(
                    f"{program.name} takes {count} arrays by position: {', '.join(program.inputs)}"
                )
            )
        if not matches(program, program.inputs, specs):
            raise ShapeError(
                at_user_line(
                    f"{program.name} was saved for other shapes than "
                    f"{', '.join(str(s.shape) for s in specs)}:\n{program}"
                )
            )
        return Trace(program, tree)

    def saved(*args: object) -> object:
        """Stand for the function that was saved."""
        return function(*args)

    saved.__name__ = program.name
    function = Function(build, program.name, saved)
    return function
