"""Python's statements as calls: what a function's syntax tree becomes.

`if`, `while` and `for` become calls of `symdiff.tracing.statements` with their bodies as local
functions, which share the function's variables. `return`, `break` and `continue` become variables
before that, so that nothing jumps. Names that begin with ``_sd`` are ours.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias, TypeVar

from symdiff.tracing.liveness import Scope, assigned, changed_places, live_before, maybe_written

__all__ = ["HELPERS", "CannotRewrite", "rewritten"]

HELPERS = "_sd"
"""The name by which rewritten code knows `symdiff.tracing.statements`."""

Function: TypeAlias = ast.FunctionDef
Node = TypeVar("Node", bound=ast.AST)
MAX_COPIED = 400
"""How many nodes may be written twice so that a condition needs no variable."""


class CannotRewrite(Exception):  # noqa: N818 - the function is left as it is
    """The function has something in it that is not rewritten."""


def rewritten(function: Function | ast.Lambda) -> Function | ast.Lambda:
    """Rewrite a function definition, or a lambda.

    Raises
    ------
    CannotRewrite
        It jumps out of a ``try``, or is otherwise left alone.
    """
    for node in ast.walk(function):
        name = getattr(node, "id", None) or getattr(node, "attr", None)
        if isinstance(name, str) and name.startswith("__") and not name.endswith("__"):
            raise CannotRewrite("names of a class's own")
        if isinstance(name, str) and name.startswith(HELPERS):
            raise CannotRewrite("names that are ours")
    if isinstance(function, ast.Lambda):
        return _like(ast.Lambda(function.args, _Expressions().visit(function.body)), function)
    return _Rewriter(function).function()


class _Supers(ast.NodeTransformer):
    """Gives ``super()`` its arguments, which it would look for in the wrong function."""

    def __init__(self, first: str) -> None:
        self.first = first

    def visit(self, node: ast.AST) -> Any:
        """Rewrite a node, but for functions and classes inside."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            return node
        self.generic_visit(node)
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            return node
        if node.func.id == "super" and not node.args:
            node.args = [_like(_name("__class__"), node), _like(_name(self.first), node)]
        return node


def _like(made: Node, node: ast.AST) -> Node:
    """Give a node, and all in it that has none, the place of another."""
    ast.copy_location(made, node)
    for child in ast.walk(made):
        if isinstance(child, (ast.expr, ast.stmt)) and not hasattr(child, "lineno"):
            ast.copy_location(child, node)
    for child in ast.walk(made):
        if hasattr(child, "lineno") and not hasattr(child, "end_lineno"):
            child.end_lineno = getattr(node, "end_lineno", None)  # type: ignore[attr-defined]
            child.end_col_offset = getattr(node, "end_col_offset", None)  # type: ignore[attr-defined]
    return made


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _stored(name: str) -> ast.Name:
    return ast.Name(name, ast.Store())


def _helper(name: str) -> ast.Attribute:
    return ast.Attribute(_name(HELPERS), name, ast.Load())


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(_helper(name), list(arguments), [])


def _later(body: ast.expr) -> ast.Lambda:
    """An expression as a function without arguments."""
    empty = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return ast.Lambda(empty, body)


def _set(name: str, value: Any) -> ast.Assign:
    node = value if isinstance(value, ast.expr) else ast.Constant(value)
    return ast.Assign([_stored(name)], node)


# expressions

_COMPARISONS = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
_LEFT_ALONE = frozenset(["super", "locals", "globals", "vars", "eval", "exec", "dir", HELPERS])


def _can_be_later(node: ast.AST) -> bool:
    """Whether an expression means the same in a function of its own."""
    kinds = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
    return not any(isinstance(child, kinds) for child in ast.walk(node))


def _is_constant(index: ast.expr) -> bool:
    """Whether an index is written as numbers."""
    kinds = (ast.Constant, ast.Slice, ast.Tuple, ast.UnaryOp, ast.USub, ast.Load)
    return all(isinstance(node, kinds) for node in ast.walk(index))


class _Expressions(ast.NodeTransformer):
    """Rewrites `and`, `or`, `not`, chains of comparisons, choices, calls and what is indexed."""

    helper_of_comparisons = "chain"

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        can = all(_can_be_later(v) for v in node.values[1:])
        self.generic_visit(node)
        if not can:
            return node
        helper = "both" if isinstance(node.op, ast.And) else "either"
        first, *rest = node.values
        return _like(_call(helper, first, *[_later(v) for v in rest]), node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        return (
            _like(_call("opposite", node.operand), node) if isinstance(node.op, ast.Not) else node
        )

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        can = _can_be_later(node.body) and _can_be_later(node.orelse)
        self.generic_visit(node)
        if not can:
            return node
        return _like(_call("choice", node.test, _later(node.body), _later(node.orelse)), node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        can = all(_can_be_later(c) for c in node.comparators)
        self.generic_visit(node)
        if not can or (len(node.ops) == 1 and self.helper_of_comparisons == "chain"):
            return node
        links = [
            ast.Tuple([ast.Constant(_COMPARISONS[type(op)]), _later(c)], ast.Load())
            for op, c in zip(node.ops, node.comparators, strict=True)
        ]
        return _like(_call(self.helper_of_comparisons, node.left, *links), node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load) or _is_constant(node.slice):
            return node
        return _like(_call("item", node.value, _as_value(node.slice)), node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in _LEFT_ALONE:
            return node
        function = _like(_call("callee", node.func), node.func)
        return ast.copy_location(ast.Call(function, node.args, node.keywords), node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        node.body = self.visit(node.body)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node  # which the rewriter does

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node


class _Conditions(_Expressions):
    """Rewrites the condition of a ``while``, whose comparisons may be of sizes."""

    helper_of_comparisons = "chain_of_sizes"


def _as_value(index: ast.expr) -> ast.expr:
    """Write an index as an expression of its own."""
    if isinstance(index, ast.Tuple):
        return ast.Tuple([_as_value(e) for e in index.elts], ast.Load())
    if not isinstance(index, ast.Slice):
        return index
    parts = [e or ast.Constant(None) for e in (index.lower, index.upper, index.step)]
    return _call("part", *parts)


# jumps


def _jumps(statements: Iterable[ast.stmt], *, in_loop: bool = False) -> set[str]:
    """Which of return, break and continue leave some statements."""
    found: set[str] = set()
    for s in statements:
        if isinstance(s, ast.Return):
            found.add("return")
        elif isinstance(s, ast.Break) and not in_loop:
            found.add("break")
        elif isinstance(s, ast.Continue) and not in_loop:
            found.add("continue")
        elif isinstance(s, (ast.For, ast.While)):
            found |= _jumps(s.body, in_loop=True)
            found |= _jumps(s.orelse, in_loop=in_loop)
        elif not isinstance(s, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            for part in _blocks(s):
                found |= _jumps(part, in_loop=in_loop)
    return found


def _blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    """The lists of statements in a statement."""
    found = [
        value
        for name in ("body", "orelse", "finalbody")
        if isinstance(value := getattr(statement, name, None), list)
    ]
    found += [h.body for h in getattr(statement, "handlers", [])]
    found += [c.body for c in getattr(statement, "cases", [])]
    return found


def _always_jumps(statements: Sequence[ast.stmt]) -> bool:
    """Whether some statements are never done to their end."""
    for s in statements:
        if isinstance(s, (ast.Return, ast.Break, ast.Continue, ast.Raise)):
            return True
        if isinstance(s, ast.If) and _always_jumps(s.body) and _always_jumps(s.orelse):
            return True
        is_endless = isinstance(s, ast.While) and isinstance(s.test, ast.Constant) and s.test.value
        if is_endless and isinstance(s, ast.While) and "break" not in _jumps(s.body):
            return True
    return False


class _Jumps:
    """Rewrites jumps into assignments to variables, and what they skip into conditions."""

    def __init__(self) -> None:
        self.count = 0
        self.returned = f"{HELPERS}_returned"
        self.result = f"{HELPERS}_result"
        self.has_early = False

    def body(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """Rewrite the body of a function."""
        if "return" not in _jumps(statements):
            return self.block(statements, None)
        last = statements[-1]
        if not _always_jumps(statements):
            last = _like(ast.Return(ast.Constant(None)), last)
            statements = [*statements, last]
        if isinstance(last, ast.Return) and "return" not in _jumps(statements[:-1]):
            return [*self.block(statements[:-1], None), last]
        made = self.block(statements, None)
        head = [_set(self.returned, False), _set(self.result, _helper("UNDEFINED"))]
        made = [*head, *made, ast.Return(_name(self.result))]
        return [_like(s, statements[0]) if s in head or s is made[-1] else s for s in made]

    def block(self, statements: Sequence[ast.stmt], loop: _LoopFlags | None) -> list[ast.stmt]:
        """Rewrite some statements, in a loop or outside of all."""
        made: list[ast.stmt] = []
        for n, s in enumerate(statements):
            rest = list(statements[n + 1 :])
            if isinstance(s, ast.Return):
                value = s.value or ast.Constant(None)
                made += [_like(_set(self.result, value), s), _like(_set(self.returned, True), s)]
                return made
            if isinstance(s, ast.Break):
                assert loop is not None
                return [*made, _like(_set(loop.broken, True), s)]
            if isinstance(s, ast.Continue):
                assert loop is not None
                return [*made, _like(_set(loop.continued, True), s)]
            jumps = _jumps([s])
            if not jumps:
                made += self._plain(s, loop)
                continue
            if isinstance(s, ast.If):
                return [*made, *self._if(s, rest, loop)]
            if isinstance(s, (ast.For, ast.While)):
                made += self._loop(s)
            elif isinstance(s, ast.With):
                body = self.block(s.body, loop)
                made.append(_like(ast.With(s.items, body), s))
            else:
                raise CannotRewrite("a jump out of a try or a match")
            return [*made, *self._guarded(rest, jumps, loop, s)]
        return made

    def _plain(self, s: ast.stmt, loop: _LoopFlags | None) -> list[ast.stmt]:
        """Rewrite a statement out of which nothing jumps."""
        if isinstance(s, (ast.For, ast.While)):
            return self._loop(s)
        for part in _blocks(s):
            if not isinstance(s, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                part[:] = self.block(part, loop)
        return [s]

    def _if(self, s: ast.If, rest: list[ast.stmt], loop: _LoopFlags | None) -> list[ast.stmt]:
        """Rewrite a condition with a jump: what follows goes into the side that does not jump."""
        body, orelse = s.body, s.orelse
        jumps = _jumps([s])  # before the loops inside lose theirs
        if _always_jumps(body):
            made = ast.If(s.test, self.block(body, loop), self.block([*orelse, *rest], loop))
        elif _always_jumps(orelse):
            made = ast.If(s.test, self.block([*body, *rest], loop), self.block(orelse, loop))
        else:
            made = ast.If(s.test, self.block(body, loop), self.block(orelse, loop))
            _like(made, s)
            return [made, *self._guarded(rest, jumps, loop, s)]
        if not made.body:
            made.body = [_like(ast.Pass(), s)]
        return [_like(made, s)]

    def _guarded(
        self, rest: list[ast.stmt], jumps: set[str], loop: _LoopFlags | None, like: ast.stmt
    ) -> list[ast.stmt]:
        """Do what follows only if nothing has jumped."""
        if not rest:
            return []
        flags: list[ast.expr] = []
        if "return" in jumps:
            flags.append(_name(self.returned))
        if loop is not None and "break" in jumps:
            flags.append(_name(loop.broken))
        if loop is not None and "continue" in jumps:
            flags.append(_name(loop.continued))
        if not flags:
            return self.block(rest, loop)
        test: ast.expr = flags[0] if len(flags) == 1 else ast.BoolOp(ast.Or(), flags)
        body = self.block(rest, loop)
        return [_like(ast.If(ast.UnaryOp(ast.Not(), test), body, []), like)]

    def _loop(self, s: ast.For | ast.While) -> list[ast.stmt]:
        """Rewrite a loop: flags say whether it goes on."""
        self.count += 1
        flags = _LoopFlags(self.count)
        jumps = _jumps(s.body)
        body = self.block(s.body, flags)
        before: list[ast.stmt] = []
        stops: list[ast.expr] = []
        if "continue" in jumps:
            body.insert(0, _set(flags.continued, False))
        if "break" in jumps:
            before.append(_set(flags.broken, False))
            stops.append(_name(flags.broken))
        if "return" in jumps:
            stops.append(_name(self.returned))
        made = s
        if isinstance(s, ast.While) and not _can_be_later(s.test):
            self._assign_test(s, flags, before, body, list(stops))
        made.body = body
        made.stops = stops  # type: ignore[attr-defined]
        behind: list[ast.stmt] = []
        if s.orelse:
            orelse = self.block(s.orelse, None) if "return" in _jumps(s.orelse) else s.orelse
            orelse = orelse if orelse is not s.orelse else self.block(s.orelse, None)
            behind = orelse
            if stops:
                test = stops[0] if len(stops) == 1 else ast.BoolOp(ast.Or(), list(stops))
                behind = [ast.If(ast.UnaryOp(ast.Not(), test), orelse, [])]
            made.orelse = []
        for node in [*before, *body, *behind]:
            _like(node, node if hasattr(node, "lineno") else s)
        return [*before, made, *behind]

    def _assign_test(
        self,
        s: ast.While,
        flags: _LoopFlags,
        before: list[ast.stmt],
        body: list[ast.stmt],
        stops: list[ast.expr],
    ) -> None:
        """Evaluate a condition that assigns to variables before each step, as a statement."""
        asked = _like(_set(flags.goes_on, s.test), s.test)
        before.append(asked)
        again: ast.stmt = _like(_set(flags.goes_on, copy.deepcopy(s.test)), s.test)
        if stops:
            left = stops[0] if len(stops) == 1 else ast.BoolOp(ast.Or(), stops)
            again = ast.If(ast.UnaryOp(ast.Not(), left), [again], [])
        body.append(_like(again, s.test))
        s.test = _like(_name(flags.goes_on), s.test)


class _LoopFlags:
    """The variables that say how a loop was left."""

    def __init__(self, number: int) -> None:
        self.broken = f"{HELPERS}_broken_{number}"
        self.continued = f"{HELPERS}_continued_{number}"
        self.goes_on = f"{HELPERS}_goes_on_{number}"


# statements


class _Rewriter:
    """Rewrites one function definition."""

    def __init__(self, node: Function) -> None:
        self.node = node
        self.count = 0

    def function(self) -> Function:
        """Rewrite it."""
        node = self.node
        first = [*node.args.posonlyargs, *node.args.args][:1]
        for argument in first:
            node.body = [_Supers(argument.arg).visit(s) for s in node.body]
        body = _Jumps().body(list(node.body))
        self.scope = Scope.of(node, body)
        made = self.block(body, frozenset())
        bound = sorted(assigned(body) & self.scope.local - {a.arg for a in _arguments(node.args)})
        if bound:  # which makes them the function's own, whatever is left of it
            never = ast.If(ast.Constant(False), [_set(n, None) for n in bound], [])
            made.insert(_after_docstring(made), _like(never, body[0]))
        node.body = made
        return node

    def block(self, statements: Sequence[ast.stmt], live: AbstractSet[str]) -> list[ast.stmt]:
        """Rewrite some statements, after which some names are live."""
        behind: list[frozenset[str]] = []
        now = frozenset(live)
        for s in reversed(statements):
            behind.append(now)
            now = live_before([s], now, self.scope)
        made: list[ast.stmt] = []
        for s, after in zip(statements, reversed(behind), strict=True):
            made += self.statement(s, after)
        return made

    def statement(self, s: ast.stmt, live: frozenset[str]) -> list[ast.stmt]:
        """Rewrite one statement."""
        if isinstance(s, ast.If):
            return self._if(s, live)
        if isinstance(s, ast.While):
            return self._while(s, live)
        if isinstance(s, ast.For):
            return self._for(s, live)
        if isinstance(s, ast.FunctionDef):
            return [_nested_function(s)]
        if isinstance(s, (ast.AsyncFunctionDef, ast.ClassDef)):
            return [s]
        if isinstance(s, (ast.With, ast.Try, ast.Match)):
            everything = live | self.scope.local  # which may be read by what catches
            for part in _blocks(s):
                part[:] = self.block(part, everything)
            for item in getattr(s, "items", []):
                item.context_expr = _Expressions().visit(item.context_expr)
            if isinstance(s, ast.Match):
                s.subject = _Expressions().visit(s.subject)
            return [s]
        return [_Expressions().visit(s)]

    def _state(
        self,
        live: AbstractSet[str],
        bodies: Sequence[ast.stmt],
        like: ast.stmt,
        dead: AbstractSet[str] = frozenset(),
    ) -> tuple[list[ast.stmt], list[ast.expr]]:
        """Functions that get and set the state, and what to pass of it.

        Of what is `dead` afterwards only the value before is of use, to each of several bodies.
        """
        self.count += 1
        names = live | dead
        own = self.scope.bound_by(bodies) - names  # which is gone before anybody else reads it
        places = [
            n
            for n in changed_places(bodies, self.scope)
            if n not in names and n.partition(".")[0] not in own
        ]
        given = [n for n in maybe_written(bodies, self.scope) if n not in {*names, *places}]
        state = [*sorted(live), *places, *given, *sorted(dead)]
        getter, setter = f"{HELPERS}_get_{self.count}", f"{HELPERS}_put_{self.count}"
        reads = [_later(_place(n, ast.Load())) for n in state]
        for n, name in enumerate(state):
            if name in given:
                reads[n] = _later(_call("if_writable", _name(name)))
        values = f"{HELPERS}_values"
        get = _def(getter, [], [ast.Return(_call("values", *reads))])
        body: list[ast.stmt] = []
        for n, name in enumerate(state):
            item = ast.Subscript(_name(values), ast.Constant(n), ast.Load())
            if name in names:
                body.append(ast.Assign([_stored(name)], item))
                is_unset = ast.Compare(_name(name), [ast.Is()], [_helper("UNDEFINED")])
                body.append(ast.If(is_unset, [ast.Delete([ast.Name(name, ast.Del())])], []))
            elif "." in name or name in given:
                is_set = ast.Compare(item, [ast.IsNot()], [_helper("UNDEFINED")])
                body.append(ast.If(is_set, [ast.Assign([_place(name, ast.Store())], item)], []))
            else:
                body.append(ast.Assign([_stored(name)], item))
        head = self._declarations({n for n in state if "." not in n})
        put = _def(setter, [values], [*head, *(body or [ast.Pass()])])
        titles = ast.Tuple([ast.Constant(n) for n in state if n not in dead], ast.Load())
        return [_like(get, like), _like(put, like)], [_name(getter), _name(setter), titles]

    def _body(
        self, name: str, statements: list[ast.stmt], like: ast.stmt, argument: str = ""
    ) -> ast.FunctionDef:
        """A body as a local function that shares the variables."""
        head = self._declarations(assigned(statements))
        kept = [s for s in statements if not isinstance(s, (ast.Global, ast.Nonlocal))]
        made = _def(name, [argument] if argument else [], [*head, *(kept or [ast.Pass()])])
        return _like(made, like)

    def _declarations(self, names: AbstractSet[str]) -> list[ast.stmt]:
        """Say in a function inside whose variables these are."""
        around = sorted(names & (self.scope.local | self.scope.shared))
        everywhere = sorted(names & self.scope.everywhere)
        head: list[ast.stmt] = [ast.Nonlocal(around)] if around else []
        return [*head, ast.Global(everywhere)] if everywhere else head

    def _if(self, s: ast.If, live: frozenset[str]) -> list[ast.stmt]:
        read = live_before(s.body, live, self.scope) | live_before(s.orelse, live, self.scope)
        bound = self.scope.bound_by([*s.body, *s.orelse])
        state, passed = self._state(bound & live, [*s.body, *s.orelse], s, bound & read - live)
        then, otherwise = f"{HELPERS}_then_{self.count}", f"{HELPERS}_else_{self.count}"
        test = _Expressions().visit(s.test)
        first = self._body(then, self.block(s.body, live), s)
        second = self._body(otherwise, self.block(s.orelse, live), s)
        call = _call("if_statement", test, _name(then), _name(otherwise), *passed)
        return [*state, first, second, _like(ast.Expr(call), s)]

    def _while(self, s: ast.While, live: frozenset[str]) -> list[ast.stmt]:
        around = live_before([s], live, self.scope)
        names = self.scope.bound_by([*s.body, s.test]) & (live | around)
        state, passed = self._state(names, s.body, s)
        test = self._with_stops(s.test, getattr(s, "stops", []))
        name = f"{HELPERS}_body_{self.count}"
        body = self._body(name, self.block(s.body, around), s)
        condition = f"{HELPERS}_test_{self.count}"
        asked = self._body(condition, [ast.Return(_Conditions().visit(test))], s)
        call = _call("while_statement", _name(condition), _name(name), *passed)
        return [*state, body, asked, _like(ast.Expr(call), s)]

    def _with_stops(self, test: ast.expr, stops: Sequence[ast.expr]) -> ast.expr:
        """Ask whether nothing has left the loop, and then the condition."""
        if not stops:
            return test
        left = stops[0] if len(stops) == 1 else ast.BoolOp(ast.Or(), list(stops))
        return _like(ast.BoolOp(ast.And(), [ast.UnaryOp(ast.Not(), left), test]), test)

    def _for(self, s: ast.For, live: frozenset[str]) -> list[ast.stmt]:
        around = live_before([s], live, self.scope)
        inner = [ast.Assign([s.target], _name(f"{HELPERS}_item")), *s.body]
        _like(inner[0], s.target)
        names = self.scope.bound_by(inner) & (live | around)
        state, passed = self._state(names, inner, s)
        name = f"{HELPERS}_body_{self.count}"
        stops: Sequence[ast.expr] = getattr(s, "stops", [])
        condition: ast.expr = ast.Constant(None)
        made: list[ast.stmt] = []
        number = self.count
        body = self._body(name, self.block(inner, around), s, f"{HELPERS}_item")
        if stops:
            left = stops[0] if len(stops) == 1 else ast.BoolOp(ast.Or(), list(stops))
            test = _like(ast.UnaryOp(ast.Not(), left), s)
            asked = f"{HELPERS}_test_{number}"
            made.append(self._body(asked, [ast.Return(_Expressions().visit(test))], s))
            condition = _name(asked)
        items = _Expressions().visit(s.iter)
        call = _call("for_statement", items, condition, _name(name), *passed)
        return [*state, body, *made, _like(ast.Expr(call), s)]


def _nested_function(s: ast.FunctionDef) -> ast.FunctionDef:
    """Rewrite a function that a function defines, if it can be."""
    marks = [getattr(d, "attr", getattr(d, "id", "")) for d in s.decorator_list]
    if "as_written" in marks or any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(s)):
        return s
    return _Rewriter(s).function()


def _arguments(args: ast.arguments) -> list[ast.arg]:
    found = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    return [*found, *[a for a in (args.vararg, args.kwarg) if a is not None]]


def _after_docstring(body: Sequence[ast.stmt]) -> int:
    first = body[0] if body else None
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    n = 1 if is_text and isinstance(first.value.value, str) else 0  # type: ignore[union-attr]
    while n < len(body) and isinstance(body[n], (ast.Global, ast.Nonlocal)):
        n += 1
    return n


def _place(name: str, context: ast.expr_context) -> ast.expr:
    """A variable, or an attribute of one."""
    first, _, rest = name.partition(".")
    return ast.Attribute(_name(first), rest, context) if rest else ast.Name(first, context)


def _def(name: str, arguments: Sequence[str], body: Sequence[ast.stmt]) -> ast.FunctionDef:
    args = ast.arguments(
        posonlyargs=[],
        args=[ast.arg(a) for a in arguments],
        kwonlyargs=[],
        kw_defaults=[],
        defaults=[],
    )
    made = ast.FunctionDef(name, args, list(body), [])
    if "type_params" in ast.FunctionDef._fields:
        made.type_params = []  # type: ignore[attr-defined]
    return made
