"""`Saver` and `Checkpoint`: variables and optimizers in a file that is whole or not there.

A file is a checkpoint like those of `symdiff.train`: numbered arrays, and their names in a header.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from symdiff.eager.devices import CPU, move
from symdiff.eager.tensor import Tensor, wrap
from symdiff.eager.variables import Variable
from symdiff.errors import DTypeError, ShapeError, at_user_line
from symdiff.optimizers import checkpoints

__all__ = ["Checkpoint", "Saver"]


@runtime_checkable
class HasSlots(Protocol):
    """What an optimizer does to be saved: it keeps arrays and numbers for each variable."""

    def start(self, value: Any) -> list[Any]:
        """Make the state to begin with."""
        ...

    def saved_slots(self, variable: Any) -> list[Any] | None:
        """Give a variable's state, if there is any yet."""
        ...

    def restore_slots(self, variable: Any, slots: list[Any] | None) -> None:
        """Take a variable's state."""
        ...


Put = Callable[[], None]


class Saver:
    """Saves variables, and restores them.

    Parameters
    ----------
    var_list : sequence of Variable, or dict of str to Variable
        The names in the file are those of the dict, or the variables' own; of equal ones the later
        are numbered.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> import tempfile
    >>> v = tfe.Variable([1.0, 2.0], name="v")
    >>> saver = tfe.Saver([v])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = saver.save(folder + "/model", global_step=7)
    ...     v.assign([0.0, 0.0])
    ...     saver.restore(path)
    >>> path.endswith("model-7"), v.numpy()
    (True, array([1., 2.], dtype=float32))
    """

    def __init__(self, var_list: Sequence[Variable] | Mapping[str, Variable]) -> None:
        named = var_list if isinstance(var_list, Mapping) else _by_name(var_list)
        self._variables = dict(named)
        for name, v in self._variables.items():
            if not isinstance(v, Variable):
                raise TypeError(
                    at_user_line(f"{name!r}: a Saver takes variables, not {type(v).__name__}")
                )

    def save(self, path: str | os.PathLike[str], global_step: Any = None) -> str:
        """Write the values to a file, and give its path, which ends in the step, if there is one.

        Raises
        ------
        OSError
            It cannot be written; a file that was there before is as it was.
        """
        numbered = str(path) if global_step is None else f"{path}-{int(global_step)}"
        _write(numbered, {n: v.value_now() for n, v in self._variables.items()})
        return numbered

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Assign the values of a file, all of them or none.

        Raises
        ------
        ValueError
            A variable is missing in the file, or has another shape there.
        TypeError
            A variable has another dtype there.
        OSError
            The file cannot be read.
        """
        saved, _ = _read(path)
        for put in [_assignment(n, v, saved, path) for n, v in self._variables.items()]:
            put()


class Checkpoint:
    """Saves what a training goes on from: models, variables, and optimizers with their state.

    Parameters
    ----------
    **objects
        Variables, layers, models, optimizers, and lists and dicts of those. The names in the file
        are the paths from here to a variable, such as ``model/layers/0/kernel``. An optimizer's
        state is saved for those variables that are in the checkpoint.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> import tempfile
    >>> v, optimizer = tfe.Variable(4.0), tfe.train.AdamOptimizer(0.5)
    >>> _ = optimizer.minimize(lambda: v * v)
    >>> checkpoint = tfe.Checkpoint(v=v, optimizer=optimizer)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = checkpoint.save(folder + "/state")
    ...     _ = optimizer.minimize(lambda: v * v)
    ...     checkpoint.restore(path)
    >>> float(v)
    3.5
    """

    def __init__(self, **objects: Any) -> None:
        for name, value in objects.items():
            if not _is_walked(value):
                raise TypeError(
                    at_user_line(
                        f"{name}={value!r}: a Checkpoint takes variables, models, optimizers, and "
                        "lists and dicts of those"
                    )
                )
        self._objects = objects

    def save(self, path: str | os.PathLike[str]) -> str:
        """Write everything to a file, and give its path; see `Saver.save`."""
        found = _found(self._objects)
        arrays = {n: v.value_now() for n, v in found.variables.items()}
        for label, optimizer in found.optimizers.items():
            for name, v in found.variables.items():
                slots = optimizer.saved_slots(v) or ()
                arrays |= {_slot(label, name, n): x for n, x in enumerate(slots)}
        if not found.variables:
            raise ValueError(
                at_user_line("there is no variable to save; layers make theirs when first called")
            )
        _write(path, arrays, list(found.optimizers))
        return str(path)

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Take everything from a file, or nothing; see `Saver.restore`.

        Raises
        ------
        ValueError
            Also for what is in the file and nowhere here, as of layers that were not called yet.
        """
        saved, optimizers = _read(path)
        found = _found(self._objects)
        for label in found.optimizers:
            if label not in optimizers:
                raise _missing(label, path, optimizers)
        unused = set(saved)
        puts: list[Put] = []
        for name, v in found.variables.items():
            puts.append(_assignment(name, v, saved, path))
            unused.discard(name)
            for label, optimizer in found.optimizers.items():
                put, taken = _slots_put(label, optimizer, name, v, saved)
                puts.append(put)
                unused -= taken
        if unused:
            raise ValueError(
                at_user_line(
                    f"{path} has {sorted(unused)}, for which there is nothing here; call new "
                    "layers once before, so that they have variables"
                )
            )
        for put in puts:
            put()


class _Found(NamedTuple):
    variables: dict[str, Variable]
    optimizers: dict[str, HasSlots]


_NO_STATE = (FunctionType, BuiltinFunctionType, MethodType, ModuleType, type, Tensor, np.ndarray)


def _is_walked(value: Any) -> bool:
    if isinstance(value, (Variable, dict, list, tuple)):
        return True
    return hasattr(value, "__dict__") and not isinstance(value, _NO_STATE)


def _found(objects: Mapping[str, Any]) -> _Found:
    """Find variables and optimizers by their paths, each once."""
    found = _Found({}, {})
    seen: set[int] = set()

    def walk(path: str, value: Any) -> None:
        if not _is_walked(value) or id(value) in seen:
            return
        seen.add(id(value))
        if path in found.variables or path in found.optimizers:
            raise ValueError(at_user_line(f"two things are called {path!r}; rename a key"))
        if isinstance(value, Variable):
            found.variables[path] = value
        elif isinstance(value, HasSlots):
            found.optimizers[path] = value
        else:
            for name, part in _parts(value):
                walk(f"{path}/{name}", part)

    for name, value in objects.items():
        walk(name, value)
    return found


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, (list, tuple)):
        return iter(enumerate(value))
    return iter((value if isinstance(value, dict) else vars(value)).items())


def _by_name(variables: Sequence[Variable]) -> dict[str, Variable]:
    named: dict[str, Variable] = {}
    for v in variables:
        base = name = getattr(v, "name", "variable")
        count = 0
        while name in named:
            count += 1
            name = f"{base}_{count}"
        named[name] = v
    return named


def _slot(label: str, name: str, number: int) -> str:
    return f"{label}:{name}:{number}"


def _write(
    path: str | os.PathLike[str], arrays: Mapping[str, Any], optimizers: Sequence[str] = ()
) -> None:
    numbered = {str(n): np.asarray(x) for n, x in enumerate(arrays.values())}
    checkpoints.write(Path(path), {"names": list(arrays), "optimizers": list(optimizers)}, numbered)


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    header, arrays = checkpoints.read(Path(path))
    if "names" not in header:
        raise ValueError(at_user_line(f"{path} was not written by a Saver or a Checkpoint"))
    named = {name: arrays[str(n)] for n, name in enumerate(header["names"])}
    return named, header["optimizers"]


def _missing(name: str, path: Any, there: Any) -> ValueError:
    shown = ", ".join(sorted(there)) or "nothing of the kind"
    return ValueError(at_user_line(f"{name!r} is not in {path}; there is {shown}"))


def _assignment(name: str, variable: Variable, saved: Mapping[str, np.ndarray], path: Any) -> Put:
    """Check a variable's saved value, and give what assigns it."""
    if name not in saved:
        raise _missing(name, path, saved)
    array = saved[name]
    _check(name, array, variable.shape, variable.dtype)
    made = wrap(move(array[()], CPU, variable.place, is_asked=True), variable.place)
    return lambda: variable.put(made)


def _slots_put(
    label: str, optimizer: HasSlots, name: str, variable: Variable, saved: Mapping[str, Any]
) -> tuple[Put, set[str]]:
    """Check an optimizer's saved state for a variable, and give what restores it, and its names."""
    names = [_slot(label, name, n) for n in range(len(optimizer.start(variable.value_now())))]
    taken = [n for n in names if n in saved]
    if not taken:  # the variable had not been updated by then
        return lambda: optimizer.restore_slots(variable, None), set()
    slots: list[Any] = []
    for n, like in zip(names, optimizer.start(variable.value_now()), strict=True):
        if n not in saved:
            raise ValueError(at_user_line(f"{n!r} is missing beside {taken}: another optimizer?"))
        array = saved[n]
        if isinstance(like, int):
            slots.append(int(array))
            continue
        _check(n, array, np.shape(like), like.dtype)
        slots.append(array[()])
    return lambda: optimizer.restore_slots(variable, slots), set(taken)


def _check(name: str, array: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> None:
    if array.shape != shape:
        raise ShapeError(
            at_user_line(f"{name!r} has shape {array.shape} in the file, here {shape}")
        )
    if array.dtype != dtype:
        raise DTypeError(
            at_user_line(f"{name!r} has dtype {array.dtype} in the file, here {dtype}")
        )
