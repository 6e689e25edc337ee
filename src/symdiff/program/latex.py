"""LaTeX's notation for names and for the operations of a pattern."""

from __future__ import annotations

import re
from collections.abc import Sequence

from symdiff.program.notation import (
    ADD,
    ATOM,
    CALL,
    COMPARE,
    MUL,
    NEG,
    OR,
    POW,
    Notation,
    Piece,
    inside,
    leading,
)

__all__ = ["Latex", "latex_name"]

_GREEK = re.compile(
    r"alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|mu|nu|xi|pi|rho|sigma|tau|upsilon|"
    r"phi|chi|psi|omega|Gamma|Delta|Theta|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega"
)
_LAMBDA = ("lam", "lamb", "lambda")  # Python reserves the last
_FUNCTION = re.compile("exp|log|sinh?|cosh?|tanh?|arcsin|arccos|arctan|max|min")
_SPECIAL = {
    "abs": r"\left|{%s}\right|",
    "sqrt": r"\sqrt{%s}",
    "cbrt": r"\sqrt[3]{%s}",
    "floor": r"\left\lfloor{%s}\right\rfloor",
    "ceil": r"\left\lceil{%s}\right\rceil",
    "gamma": r"\Gamma\left(%s\right)",
    "gammaln": r"\log\Gamma\left(%s\right)",
    "digamma": r"\psi\left(%s\right)",
    "sigmoid": r"\sigma\left(%s\right)",
    "exp2": r"2^{%s}",
}
_SIGNS = {
    "<": "<",
    "<=": r"\leq",
    ">": ">",
    ">=": r"\geq",
    "==": "=",
    "!=": r"\neq",
    "and": r"\wedge",
    "or": r"\vee",
    "%": r"\bmod",
}
_NUMBERED = re.compile(r"_\{\d+\}$")
_WORD = re.compile(r"(.*?)_?(\d+)?_*", re.DOTALL)


def latex_name(name: str) -> str:
    r"""Typeset a name: Greek letters, numbers as subscripts, words upright.

    Examples
    --------
    >>> [latex_name(name) for name in ("x", "beta1", "t_2", "residual")]
    ['x', '\\beta_{1}', 't_{2}', '\\mathrm{residual}']
    """
    match = _WORD.fullmatch(name)
    stem, number = match.groups() if match and match.group(1) else (name, None)
    text = _stem(stem)
    return f"{text}_{{{number}}}" if number else text


def _stem(stem: str) -> str:
    if _GREEK.fullmatch(stem):
        return f"\\{stem}"
    if stem in _LAMBDA:
        return r"\lambda"
    if len(stem) == 1 and stem.isalpha():
        return stem
    return rf"\mathrm{{{_escape(stem)}}}"


def _escape(text: str) -> str:
    return re.sub(r"([_%#&${}])", r"\\\1", text.replace("\\", "/").replace("^", "/"))


def _wrap(piece: Piece, at_least: int) -> str:
    return piece[0] if piece[1] >= at_least else rf"\left({piece[0]}\right)"


class Latex(Notation):
    """Mathematical notation; sums and products need no parentheses among themselves."""

    def __init__(self, index_names: Sequence[str]) -> None:
        super().__init__([latex_name(name) for name in index_names])

    def name(self, name: str) -> str:
        """Typeset a name."""
        return latex_name(name)

    def sized(self, text: str) -> str:
        """Space an index expression out, and leave its multiplication signs away."""
        return re.sub(r"(?<=[^ (])([+-])", r" \1 ", text.replace("*", " "))

    def number(self, value: float) -> Piece:
        """Typeset a number."""
        text, precedence = super().number(value)
        if text in ("inf", "-inf"):
            return text.replace("inf", r"\infty"), precedence
        if text in ("nan", "True", "False"):
            return rf"\mathrm{{{text.lower()}}}", ATOM
        mantissa, has_exponent, exponent = text.partition("e")
        if has_exponent:
            return rf"{mantissa} \cdot 10^{{{int(exponent)}}}", min(precedence, MUL)
        return text, precedence

    def element(self, array: str, subscripts: list[str]) -> str:
        """Typeset an element of an array."""
        name = latex_name(array)
        if not subscripts:
            return name
        if _NUMBERED.search(name):
            name = f"{{{name}}}"
        return f"{name}_{{{','.join(subscripts)}}}"

    def _write_name(self, value: str, _: list[Piece]) -> Piece:
        return {"pi": r"\pi", "E": "e"}.get(value, latex_name(value)), ATOM

    def _write_add(self, signs: tuple[bool, ...], terms: list[Piece]) -> Piece:
        text = _wrap(terms[0], NEG)
        for sign, term in zip(signs[1:], terms[1:], strict=True):
            text += f" - {_wrap(term, MUL)}" if sign else f" + {_wrap(term, ADD)}"
        return text, ADD

    def _write_neg(self, _: None, terms: list[Piece]) -> Piece:
        return f"- {_wrap(terms[0], MUL)}", NEG

    def _write_mul(self, _: None, factors: list[Piece]) -> Piece:
        text, precedence = leading(factors[0], _wrap)
        for piece in factors[1:]:
            factor = _wrap(piece, MUL)
            text += rf" \cdot {factor}" if factor[0].isdigit() else f" {factor}"
        return text, precedence

    def _write_div(self, _: None, parts: list[Piece]) -> Piece:
        return rf"\frac{{{parts[0][0]}}}{{{parts[1][0]}}}", MUL

    def _write_pow(self, _: None, parts: list[Piece]) -> Piece:
        base, precedence = parts[0]
        exponent = parts[1][0]
        if precedence == CALL:  # sin^2(x)
            head, brace, rest = base.partition("{")
            return f"{head}^{{{exponent}}}{brace}{rest}", POW
        return f"{_wrap(parts[0], ATOM)}^{{{exponent}}}", POW

    def _write_infix(self, value: tuple[str, int], parts: list[Piece]) -> Piece:
        sign, precedence = value
        if sign == "//":
            ratio = self._write_div(None, parts)[0]
            return rf"\left\lfloor{{{ratio}}}\right\rfloor", ATOM
        joined = f" {_SIGNS[sign]} ".join(_wrap(p, inside(precedence)) for p in parts)
        return joined, precedence

    def _write_not(self, _: None, parts: list[Piece]) -> Piece:
        return rf"\neg {_wrap(parts[0], ATOM)}", COMPARE

    def _write_call(self, name: str, arguments: list[Piece]) -> Piece:
        texts = [text for text, _ in arguments]
        if name == "where":
            condition, a, b = texts
            cases = rf"{a} & \text{{for}}\: {condition} \\ {b} & \text{{otherwise}}"
            return rf"\begin{{cases}} {cases} \end{{cases}}", OR
        if name in _SPECIAL and len(texts) == 1:
            return _SPECIAL[name] % texts[0], POW
        if name == "polygamma":
            return rf"\psi^{{\left({texts[0]}\right)}}\left({texts[1]}\right)", POW
        if name in ("maximum", "minimum"):
            name = name[:3]
        is_known = _FUNCTION.fullmatch(name)
        head = f"\\{name}" if is_known else rf"\operatorname{{{_escape(name)}}}"
        return rf"{head}{{\left({', '.join(texts)} \right)}}", CALL if is_known else POW
