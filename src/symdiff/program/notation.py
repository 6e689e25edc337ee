"""How a pattern reads on paper: a small tree per pattern, and the two notations that write it.

SymPy's printers would do, but only on SymPy expressions, and putting the operands into a pattern
evaluates: ``(t - s) - y`` would cancel. So a pattern becomes a tree once, and text is put in for
its operands, with parentheses by precedence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import sympy as sp

from symdiff.program import functions as fn
from symdiff.program.affine import Affine
from symdiff.program.blocks import Block
from symdiff.program.equations import Index, Literal, Read, Whole
from symdiff.program.patterns import Pattern, placeholder
from symdiff.program.sizes import Extent
from symdiff.program.special_functions import NAMES as SPECIAL_NAMES
from symdiff.program.temporaries import Inlined, Term
from symdiff.program.whole_numbers import NAMES as WHOLE_NAMES

__all__ = [
    "ADD",
    "ATOM",
    "CALL",
    "COMPARE",
    "MUL",
    "NEG",
    "OR",
    "POW",
    "Node",
    "Notation",
    "Text",
    "inside",
    "leading",
    "size_terms",
    "wrap",
]

OR, AND, NOT, COMPARE, FLOOR, NEG, ADD, MUL, POW, CALL, ATOM = range(11)

Piece = tuple[str, int]
"""Text, and the precedence of what binds most loosely in it."""


class Node(NamedTuple):
    """One operation of a pattern as it is written; ``value`` is a name, a number or an operand."""

    kind: str
    value: Any = None
    children: tuple[Node, ...] = ()


_NUMPY_NAMES: dict[type, str] = {
    sp.asin: "arcsin",
    sp.acos: "arccos",
    sp.atan: "arctan",
    sp.atan2: "arctan2",
    sp.asinh: "arcsinh",
    sp.acosh: "arccosh",
    sp.atanh: "arctanh",
    sp.loggamma: "gammaln",
    sp.Xor: "xor",
    fn.Select: "where",
    fn.LogGamma: "gammaln",
    fn.StopGradient: "stop_gradient",
    fn.Hypot: "hypot",
    **SPECIAL_NAMES,
    **WHOLE_NAMES,
}
_INFIX: dict[type, tuple[str, int]] = {
    sp.StrictLessThan: ("<", COMPARE),
    sp.LessThan: ("<=", COMPARE),
    sp.StrictGreaterThan: (">", COMPARE),
    sp.GreaterThan: (">=", COMPARE),
    sp.Equality: ("==", COMPARE),
    sp.Unequality: ("!=", COMPARE),
    sp.And: ("and", AND),
    sp.Or: ("or", OR),
    fn.FloorDivide: ("//", FLOOR),
    fn.Remainder: ("%", FLOOR),
    sp.Mod: ("%", FLOOR),
}


@cache
def tree(pattern: Pattern) -> Node:
    """Lay out a pattern."""
    operands = {placeholder(i): i for i in range(pattern.arity)}
    return _node(pattern.expression, operands)


def _node(e: Any, operands: dict[Any, int]) -> Node:
    if e in operands:
        return Node("operand", operands[e])
    if e.is_Number:
        return _number(e)
    if e is sp.true or e is sp.false:
        return Node("number", bool(e))
    if e.is_Atom:
        return Node("name", str(e))
    if e.is_Add:
        terms = sorted(e.as_ordered_terms(), key=lambda t: t.could_extract_minus_sign())
        signs = tuple(t.could_extract_minus_sign() and i > 0 for i, t in enumerate(terms))
        terms = [-t if sign else t for t, sign in zip(terms, signs, strict=True)]
        return Node("add", signs, tuple(_node(t, operands) for t in terms))
    if e.is_Mul:
        return _product(e, operands)
    if e.is_Pow or e.func is fn.Power:
        return _power(e.args[0], e.args[1], operands)
    children = tuple(_node(a, operands) for a in e.args)
    if e.func in _INFIX:
        return Node("infix", _INFIX[e.func], children)
    if e.func is sp.polygamma and e.args[0] == 0:
        return Node("call", "digamma", children[1:])
    if e.func is sp.Not:
        return Node("not", None, children)
    if e.func in _SPELLED_OUT:
        return _node(_SPELLED_OUT[e.func](*e.args), operands)
    return Node("call", _NUMPY_NAMES.get(e.func, e.func.__name__.lower()), children)


_SPELLED_OUT: dict[Any, Any] = {
    fn.Softplus: lambda x: fn.LogAddExp(0, x),
    fn.Gap: lambda x, y: fn.Select(sp.Eq(x, y), 0, x - y),
}
"""Functions that NumPy does not have, by those that it has."""


def _number(e: Any) -> Node:
    if e.is_Rational and not e.is_Integer:
        top = Node("number", abs(e.p))
        ratio = Node("div", None, (top, Node("number", e.q)))
        return Node("neg", None, (ratio,)) if e.p < 0 else ratio
    return Node("number", int(e) if e.is_Integer else float(e))


def _product(e: Any, operands: dict[Any, int]) -> Node:
    top: list[Any] = []
    bottom: list[Any] = []
    is_negative = False
    for signed in e.as_ordered_factors():
        is_minus = signed.is_Number and signed < 0
        is_negative ^= bool(is_minus)
        factor = -signed if is_minus else signed
        if factor.is_Rational:
            top += [sp.Integer(factor.p)] if factor.p != 1 else []
            bottom += [sp.Integer(factor.q)] if factor.q != 1 else []
        elif factor.is_Pow and factor.exp.is_Rational and factor.exp < 0:
            bottom.append(1 / factor)
        else:
            top.append(factor)
    node = _factors(top, operands)
    if bottom:
        node = Node("div", None, (node, _factors(bottom, operands)))
    return Node("neg", None, (node,)) if is_negative else node


def _factors(factors: list[Any], operands: dict[Any, int]) -> Node:
    nodes = tuple(_node(f, operands) for f in factors)
    if len(nodes) == 1:
        return nodes[0]
    return Node("mul", None, nodes) if nodes else Node("number", 1)


def _power(base: Any, exponent: Any, operands: dict[Any, int]) -> Node:
    if exponent == sp.Rational(1, 2):
        return Node("call", "sqrt", (_node(base, operands),))
    if exponent.is_Rational and exponent < 0 and not base.is_Number:
        top = Node("number", 1)
        return Node("div", None, (top, _power(base, -exponent, operands)))
    if exponent == 1:
        return _node(base, operands)
    return Node("pow", None, (_node(base, operands), _node(exponent, operands)))


def signed_terms(affine: Affine, names: Sequence[str], name: Callable[[str], str]) -> list[str]:
    """List the terms of an index expression, each with its sign, in the order to write them."""
    indices: list[str] = []
    for i, c in affine.terms:
        sign, factor = _split(c, name)
        indices.append(sign + (f"{factor}*" if factor != "1" else "") + names[i])
    indices.sort(key=lambda term: term[0] == "-")
    offset = size_terms(affine.offset, name)
    return indices + offset if indices and indices[0][0] == "+" else offset + indices


def size_terms(extent: Extent, name: Callable[[str], str]) -> list[str]:
    """List the terms of a size, each with its sign."""
    if isinstance(extent, int):
        return [f"{extent:+d}"] if extent else []
    found = []
    for monomial, coefficient in extent.terms:
        factors = [name(s) for s in monomial]
        if abs(coefficient) != 1 or not factors:
            factors.insert(0, str(abs(coefficient)))
        found.append(("-" if coefficient < 0 else "+") + "*".join(factors))
    return found


def _split(coefficient: Extent, name: Callable[[str], str]) -> tuple[str, str]:
    terms = size_terms(coefficient, name)
    if len(terms) == 1:
        return terms[0][0], terms[0][1:]
    return "+", f"({''.join(terms).removeprefix('+')})"


class Notation:
    """Writes operands; subclasses write the operations on them, one method a kind of `Node`.

    Parameters
    ----------
    index_names : sequence of str
        Names of the loop indices.
    """

    def __init__(self, index_names: Sequence[str]) -> None:
        self.index_names = index_names

    def term(self, term: Term) -> Piece:
        """Write what an equation reads."""
        if isinstance(term, Inlined):
            return self.body(term.pattern, term.operands)
        if isinstance(term, Read):
            return self.read(term), ATOM
        if isinstance(term, Literal):
            return self.number(term.value)
        return self.index(term.value)

    def body(self, pattern: Pattern | Block, operands: Sequence[Term]) -> Piece:
        """Write a pattern with its operands put in, a block as the call of a function."""
        if isinstance(pattern, Block):
            arguments = Node(
                "call", pattern.label, tuple(Node("operand", n) for n in range(pattern.arity))
            )
            return self.node(arguments, [self.term(o) for o in operands])
        return self.node(tree(pattern), [self.term(o) for o in operands])

    def node(self, node: Node, operands: list[Piece]) -> Piece:
        """Write one operation."""
        if node.kind == "operand":
            return operands[node.value]
        if node.kind == "number":
            return self.number(node.value)
        children = [self.node(child, operands) for child in node.children]
        return getattr(self, f"_write_{node.kind}")(node.value, children)

    def read(self, read: Read) -> str:
        """Write an element of an array."""
        return self.element(read.array, [self.subscript(i) for i in read.indices])

    def subscript(self, index: Index) -> str:
        """Write one index of a read."""
        if isinstance(index, Whole):
            return ":"
        return self.read(index) if isinstance(index, Read) else self.index(index)[0]

    def index(self, affine: Affine) -> Piece:
        """Write an index expression."""
        terms = signed_terms(affine, self.index_names, self.name)
        text = self.sized("".join(terms).removeprefix("+")) or "0"
        if len(terms) < 2:
            return text, NEG if text.startswith("-") else (MUL if "*" in "".join(terms) else ATOM)
        return text, ADD

    def extent(self, extent: Extent) -> str:
        """Write a size."""
        text = "".join(size_terms(extent, self.name)).removeprefix("+")
        return self.sized(text) or "0"

    def sized(self, text: str) -> str:
        """Adapt an index expression written in Python's way."""
        return text

    def number(self, value: float) -> Piece:
        """Write a number; floats that are whole lose their point."""
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
            value = value if value == 0 and math.copysign(1, value) < 0 else int(value)
        text = repr(value)
        return text, NEG if text.startswith("-") else ATOM

    def name(self, name: str) -> str:
        """Write a name."""
        return name

    def element(self, array: str, subscripts: list[str]) -> str:
        """Write an element of an array, given its indices."""
        raise NotImplementedError


def wrap(piece: Piece, at_least: int) -> str:
    """Put parentheses around what binds more loosely than `at_least`."""
    return piece[0] if piece[1] >= at_least else f"({piece[0]})"


def inside(precedence: int) -> int:
    """Give the precedence that both sides of an infix sign need."""
    return POW if precedence == FLOOR else precedence + 1


def leading(piece: Piece, wrapped: Callable[[Piece, int], str]) -> Piece:
    """Write the first factor of a product, whose minus sign can go for the whole."""
    return piece if piece[1] == NEG else (wrapped(piece, MUL), MUL)


class Text(Notation):
    """Python's notation. Parentheses show the order of evaluation, also where + is meant twice."""

    def element(self, array: str, subscripts: list[str]) -> str:
        """Write an element of an array, given its indices."""
        return f"{array}[{','.join(subscripts)}]" if subscripts else array

    def _write_name(self, value: str, _: list[Piece]) -> Piece:
        return value, ATOM

    def _write_add(self, signs: tuple[bool, ...], terms: list[Piece]) -> Piece:
        text = wrap(terms[0], NEG)
        for sign, term in zip(signs[1:], terms[1:], strict=True):
            text += f" {'-' if sign else '+'} {wrap(term, MUL)}"
        return text, ADD

    def _write_neg(self, _: None, terms: list[Piece]) -> Piece:
        return f"-{wrap(terms[0], MUL)}", NEG

    def _write_mul(self, _: None, factors: list[Piece]) -> Piece:
        first, *rest = factors
        text, precedence = leading(first, wrap)
        return "*".join([text, *[wrap(f, POW) for f in rest]]), precedence

    def _write_div(self, _: None, parts: list[Piece]) -> Piece:
        text, precedence = leading(parts[0], wrap)
        return f"{text}/{wrap(parts[1], POW)}", precedence

    def _write_pow(self, _: None, parts: list[Piece]) -> Piece:
        return f"{wrap(parts[0], CALL)}**{wrap(parts[1], POW)}", POW

    def _write_infix(self, value: tuple[str, int], parts: list[Piece]) -> Piece:
        sign, precedence = value
        return f" {sign} ".join(wrap(p, inside(precedence)) for p in parts), precedence

    def _write_not(self, _: None, parts: list[Piece]) -> Piece:
        return f"not {wrap(parts[0], NOT)}", NOT

    def _write_call(self, name: str, arguments: list[Piece]) -> Piece:
        return f"{name}({', '.join(text for text, _ in arguments)})", CALL
