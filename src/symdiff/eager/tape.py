"""`GradientTape`: operations are noted as they run, and replayed to be differentiated."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple, Self

import numpy as np

from symdiff.eager.devices import BUSY
from symdiff.eager.indexing import beside
from symdiff.eager.listeners import LISTENERS
from symdiff.eager.replay import Noted, Replay
from symdiff.eager.shapes import reshape, stack
from symdiff.eager.structures import flatten, unflatten
from symdiff.eager.tensor import Tensor, as_tensor, perform
from symdiff.errors import at_user_line
from symdiff.trees import Tree

__all__ = ["GradientTape"]


class GradientTape:
    """Notes what is computed from watched tensors, to differentiate it afterwards.

    Parameters
    ----------
    persistent : bool
        Whether `gradient` may be called more than once.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> x = tfe.constant(3.0)
    >>> with tfe.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = x * x
    >>> tape.gradient(y, x).numpy()
    np.float32(6.0)
    """

    def __init__(self, persistent: bool = False) -> None:
        self.persistent = persistent
        self._is_used = False
        self.reset()

    def __enter__(self) -> Self:
        LISTENERS.tapes.append(self)
        BUSY.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Note nothing more."""
        if self in LISTENERS.tapes:
            LISTENERS.tapes.remove(self)
            BUSY.remove(self)

    def stop_recording(self) -> AbstractContextManager[None]:
        """Note nothing more; or, as a ``with`` block, nothing within it.

        Examples
        --------
        >>> import symdiff.eager as tfe
        >>> x = tfe.constant(3.0)
        >>> with tfe.GradientTape() as tape:
        ...     tape.watch(x)
        ...     with tape.stop_recording():
        ...         scale = x * x
        ...     y = scale * x
        >>> float(tape.gradient(y, x))
        9.0
        """
        was_recording = self in LISTENERS.tapes
        self.stop()
        return self._resumed() if was_recording else nullcontext()

    @contextmanager
    def _resumed(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.__enter__()

    def reset(self) -> None:
        """Forget everything that was watched and noted."""
        self._noted: list[Noted] = []
        self._active: dict[int, Tensor] = {}
        self._variables: dict[int, tuple[Any, list[Tensor]]] = {}

    def watch(self, values: Any) -> None:
        """Note what is computed from these tensors from now on."""
        for x in flatten(values)[0]:
            tensor = as_tensor(x)
            self._active[id(tensor)] = tensor

    def watched_variables(self) -> tuple[Any, ...]:
        """Give the trainable variables that were read."""
        return tuple([v for v, _ in self._variables.values()])

    def read(self, variable: Any, value: Tensor) -> None:
        """Hear that a variable is read."""
        if variable.trainable:
            self._active[id(value)] = value
            _, values = self._variables.setdefault(id(variable), (variable, []))
            if not any(v is value for v in values):
                values.append(value)

    def record(
        self,
        function: Callable[..., Any],
        operands: Sequence[Any],
        static: dict[str, Any],
        result: Tensor,
    ) -> None:
        """Hear of an operation."""
        if any(id(x) in self._active for x in operands if isinstance(x, Tensor)):
            self._noted.append(Noted(function, tuple(operands), static, result))
            self._active[id(result)] = result

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str = "none",
    ) -> Any:
        """Differentiate the sum of all elements of the target by the sources.

        Parameters
        ----------
        target : tensor, or a structure of tensors
        sources : tensor, variable, or a structure of those
        output_gradients : like `target`, optional
            Weights of the target's elements.
        unconnected_gradients : {"none", "zero"}

        Returns
        -------
        Structured like `sources`.

        Raises
        ------
        RuntimeError
            A tape that is not persistent is asked a second time.
        """
        targets = [as_tensor(t) for t in flatten(target)[0]]
        weights = None
        if output_gradients is not None:
            weights = [as_tensor(w) for w in flatten(output_gradients)[0]]
        with self._asked(targets, sources, unconnected_gradients) as question:
            return question.gathered(question.replay.gradients(weights), ())

    def jacobian(self, target: Any, sources: Any, unconnected_gradients: str = "none") -> Any:
        """Differentiate every element of the target by every element of the sources.

        Parameters
        ----------
        target : tensor
        sources : tensor, variable, or a structure of those
        unconnected_gradients : {"none", "zero"}

        Returns
        -------
        Structured like `sources`; a Jacobian has the shape of the target, and behind it that of
        the source.

        Raises
        ------
        RuntimeError
            A tape that is not persistent is asked a second time.

        Examples
        --------
        >>> import symdiff.eager as tfe
        >>> x = tfe.constant([1.0, 2.0])
        >>> with tfe.GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = x[0] * x
        >>> tape.jacobian(y, x).numpy()
        array([[2., 0.],
               [2., 1.]], dtype=float32)
        """
        y = as_tensor(target)
        shape = y.shape
        units = _units(shape, y.dtype)
        with self._asked([y], sources, unconnected_gradients) as question:
            rows = [question.replay.gradients([as_tensor(unit)]) for unit in units]
            columns = zip(*rows, strict=True)
            return question.gathered([_stacked(c, shape) for c in columns], shape)

    @contextmanager
    def _asked(
        self, targets: Sequence[Tensor], sources: Any, unconnected_gradients: str
    ) -> Iterator[_Question]:
        """Check that the tape may be asked, and forget what it noted when it may not be again."""
        if self._is_used and not self.persistent:
            raise RuntimeError(
                at_user_line("this tape has been used; GradientTape(persistent=True) may be again")
            )
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(
                at_user_line(f"unconnected_gradients={unconnected_gradients!r}: 'none' or 'zero'")
            )
        self._is_used = True
        leaves, tree = flatten(sources)
        values = [self._values_of(x) for x in leaves]
        replay = Replay(self._noted, self._active, targets, [v for vs in values for v in vs])
        yield _Question(replay, values, tree, unconnected_gradients == "zero")
        if not self.persistent:
            self.reset()

    def _values_of(self, source: Any) -> list[Tensor]:
        """Give a tensor, or the values of a variable: one that is assigned to has several."""
        known = self._variables.get(id(source))
        return [as_tensor(source)] if known is None else known[1]


class _Question(NamedTuple):
    """What a tape is asked for: derivatives by the values of each source, to be added up."""

    replay: Replay
    values: list[list[Tensor]]
    tree: Tree
    wants_zeros: bool

    def gathered(self, found: Sequence[Any], shape: tuple[int, ...]) -> Any:
        """Structure derivatives, which have so many axes in front, like the sources."""
        parts = iter(found)
        made = [_total([next(parts) for _ in values]) for values in self.values]
        if self.wants_zeros:
            made = [
                perform(_zeros_behind, vs[0], shape=shape) if g is None else g
                for vs, g in zip(self.values, made, strict=True)
            ]
        return unflatten(self.tree, made)


def _zeros_behind(x: Any, shape: tuple[int, ...]) -> Any:
    return np.zeros_like(x) * beside(np.ones((*shape, *[1] * x.ndim), x.dtype), x)


def _total(gradients: Sequence[Any]) -> Any:
    connected = [g for g in gradients if g is not None]
    return functools.reduce(operator.add, connected) if connected else None


def _units(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Make the weights that pick one element each; without elements, one that picks none."""
    count = math.prod(shape)
    return np.eye(max(count, 1), count, dtype=dtype).reshape((max(count, 1), *shape))


def _stacked(rows: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """Make a Jacobian of its rows, all of which are connected, or none."""
    if rows[0] is None:
        return None
    return reshape(stack(rows)[: math.prod(shape)], (*shape, *rows[0].shape))
