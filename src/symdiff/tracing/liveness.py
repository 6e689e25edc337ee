"""Which variables statements read and write, and which are live where."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

__all__ = ["Scope", "assigned", "changed_places", "live_before", "maybe_written"]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_CHANGING = frozenset(
    [
        *["append", "extend", "insert", "pop", "update", "add", "sort", "fill", "setdefault"],
        *["remove", "clear", "discard", "reverse", "popitem", "appendleft", "popleft", "put"],
    ]
)


@dataclass(frozen=True)
class Scope:
    """The variables of a function.

    Attributes
    ----------
    local : frozenset of str
        Its own.
    shared, everywhere : frozenset of str
        Those that it declares nonlocal and global.
    captured : frozenset of str
        Those that others see as well, functions within it or around it, and may read at any time.
    rebound : frozenset of str
        Those that others may bind at any call.
    """

    local: frozenset[str]
    shared: frozenset[str]
    everywhere: frozenset[str]
    captured: frozenset[str]
    rebound: frozenset[str]

    @classmethod
    def of(cls, node: ast.FunctionDef, body: Sequence[ast.stmt]) -> Scope:
        """Find the variables of a function with this body."""
        shared: set[str] = set()
        everywhere: set[str] = set()
        captured: set[str] = set()
        rebound: set[str] = set()
        for child in _within(body):
            if isinstance(child, ast.Nonlocal):
                shared.update(child.names)
            elif isinstance(child, ast.Global):
                everywhere.update(child.names)
            elif isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
                captured |= {n.id for n in ast.walk(child) if isinstance(n, ast.Name)}
                inner = [n.names for n in ast.walk(child) if isinstance(n, ast.Nonlocal)]
                rebound.update(*inner)
        args = node.args
        names = {a.arg for a in [*args.posonlyargs, *args.args, *args.kwonlyargs]}
        names |= {a.arg for a in (args.vararg, args.kwarg) if a is not None}
        local = frozenset((names | assigned(body)) - shared - everywhere)
        return cls(
            local, frozenset(shared), frozenset(everywhere), local & captured, local & rebound
        )

    def bound_by(self, statements: Iterable[ast.AST]) -> set[str]:
        """The variables that statements bind, or functions that they call."""
        parts = list(statements)
        has_calls = any(isinstance(node, ast.Call) for node in _within(parts))
        variables = self.local | self.shared | self.everywhere
        return (assigned(parts) & variables) | (self.rebound if has_calls else set())


def _within(statements: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node, of functions and classes inside only the node itself."""
    waiting = list(statements)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            waiting += ast.iter_child_nodes(node)
        else:
            waiting += list(getattr(node, "decorator_list", []))
            arguments = getattr(node, "args", None)
            if arguments is not None:
                waiting += [*arguments.defaults, *[d for d in arguments.kw_defaults if d]]


def assigned(statements: Iterable[ast.AST]) -> set[str]:
    """The names that statements bind."""
    found: set[str] = set()
    waiting: list[tuple[ast.AST, bool]] = [(s, False) for s in statements]
    while waiting:
        node, is_inner = waiting.pop()
        inside = is_inner or isinstance(node, _COMPREHENSIONS)
        if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            if not is_inner:
                found.add(node.id)
        elif isinstance(node, ast.NamedExpr):
            found.add(node.target.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
            continue
        elif isinstance(node, ast.Lambda):
            continue
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {(a.asname or a.name).partition(".")[0] for a in node.names}
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            found.add(node.rest)
        waiting += [(child, inside) for child in ast.iter_child_nodes(node)]
    return found


def _root(node: ast.expr) -> str | None:
    """The variable, or its attribute, of which something is stored to."""
    while isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return None


def changed_places(statements: Sequence[ast.stmt], scope: Scope) -> list[str]:
    """Variables and attributes of variables that statements change a part of."""
    found: dict[str, None] = {}
    for node in _within(statements):
        place: str | None = None
        if isinstance(node, (ast.Subscript, ast.Attribute)):
            place = _root(node) if isinstance(node.ctx, (ast.Store, ast.Del)) else None
        elif isinstance(node, ast.AugAssign):
            place = _root(node.target)
        elif isinstance(node, ast.Call):
            place = _changed_by_call(node)
        if place is not None:
            found[place] = None
    own = scope.local
    return [p for p in found if p.partition(".")[0] in own]


def maybe_written(statements: Sequence[ast.stmt], scope: Scope) -> list[str]:
    """Variables that are given to functions, which may write to them, or written to as views."""
    found: dict[str, None] = {}
    written = {p.partition(".")[0] for p in changed_places(statements, scope)}
    for node in _within(statements):
        values: list[ast.expr] = []
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute) and _is_module(function.value):
                continue
            values = [*node.args, *[k.value for k in node.keywords]]
        elif isinstance(node, ast.Assign):
            targets = {n for t in node.targets for n in _plain_targets(t)}
            values = [node.value] if targets & written else []
        for value in map(_viewed, values):
            if isinstance(value, ast.Name) and value.id in scope.local:
                found[value.id] = None
    return list(found)


def _viewed(node: ast.expr) -> ast.expr:
    """The variable of which an expression may be a view: ``y[1:].T`` is one of y."""
    while True:
        if isinstance(node, (ast.Subscript, ast.Attribute, ast.Starred)):
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func.value
        else:
            return node


def _changed_by_call(node: ast.Call) -> str | None:
    """What a call changes: ``ys.append(y)``, ``np.add.at(a, i, x)``, ``np.copyto(a, b)``."""
    function = node.func
    if not isinstance(function, ast.Attribute):
        return None
    if function.attr in _CHANGING and not _is_module(function.value):
        return _root(function.value)
    is_writing = function.attr in ("at", "copyto", "fill_diagonal", "put_along_axis", "place")
    return _root(node.args[0]) if is_writing and node.args else None


def _is_module(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("np", "numpy")


def _read(node: ast.AST | None) -> set[str]:
    """The names that an expression may read."""
    if node is None:
        return set()
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def live_before(
    statements: Sequence[ast.stmt], live: AbstractSet[str], scope: Scope
) -> frozenset[str]:
    """The names whose values may be read, by these statements or after them.

    ``return``, ``break`` and ``continue`` have been rewritten before.
    """
    now = set(live) | scope.captured
    for s in reversed(statements):
        now = _before(s, now, scope) | scope.captured
    return frozenset(now)


def _before(s: ast.stmt, live: set[str], scope: Scope) -> set[str]:
    if isinstance(s, ast.If):
        sides = {*live_before(s.body, live, scope), *live_before(s.orelse, live, scope)}
        return sides | _read(s.test)
    if isinstance(s, (ast.While, ast.For)):
        stops = {n for e in getattr(s, "stops", []) for n in _read(e)}
        test = _read(s.test) if isinstance(s, ast.While) else set()
        around = live | stops | test
        bound = assigned([s.target]) if isinstance(s, ast.For) else set()
        while True:
            more = around | (live_before(s.body, around, scope) - bound)
            if isinstance(s, ast.For):
                more |= _read(s.target) - bound
            if more == around:
                break
            around = set(more)
        around |= live_before(s.orelse, live, scope)
        return around | (_read(s.iter) if isinstance(s, ast.For) else set())
    if isinstance(s, ast.Assign):
        bound = {t.id for t in s.targets if isinstance(t, ast.Name)}
        bound |= {n for t in s.targets for n in _plain_targets(t)}
        partial = {n for t in s.targets for n in _read(t)} - bound
        return (live - bound) | _read(s.value) | partial
    if isinstance(s, ast.AnnAssign) and s.value is not None and isinstance(s.target, ast.Name):
        return (live - {s.target.id}) | _read(s.value)
    if isinstance(s, ast.FunctionDef) and not s.decorator_list:
        return (live - {s.name}) | _read(s.args)
    if isinstance(s, (ast.Return, ast.Raise)):
        return _read(s)
    return live | _read(s)  # of the rest nothing is known to be overwritten


def _plain_targets(target: ast.expr) -> set[str]:
    """The names that an assignment to a tuple binds."""
    if isinstance(target, ast.Name):
        return {target.id}
    if isinstance(target, (ast.Tuple, ast.List)):
        return {n for e in target.elts for n in _plain_targets(e)}
    return _plain_targets(target.value) if isinstance(target, ast.Starred) else set()
