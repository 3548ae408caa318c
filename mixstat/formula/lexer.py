"""Formulas as text: tokens, the two sides, the shorthand for the gate. Linear in the length; nothing is run."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from mixstat.exceptions import FormulaError
from mixstat.formula.whitelist import shorten

MAX_LENGTH = 10_000
MAX_STARS = 8
MAX_PARENTHESES = 50

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>\d[\w.]*|\.\d[\w.]*)|(?P<name>[^\W\d][\w.]*)|`(?P<quoted>[^`]+)`"
    r"|(?P<op>\*\*|[-+*/:^~|.()])|(?P<bad>.)",
    re.DOTALL,
)
_CALL_PART = re.compile(r"\"(?:\\.|[^\"\\])*(?:\"|$)|'(?:\\.|[^'\\])*(?:'|$)|`[^`]*(?:`|$)|[()\[\]{}]", re.DOTALL)
_BAD = {
    "{": "braces run Python code and are not allowed; write I(...) around arithmetic.",
    "%": "%...% operators are not allowed; write a/b for b nested in a.",
    '"': "a text cannot stand as a term; put column names with special characters in back-quotes.",
    "'": "a text cannot stand as a term; put column names with special characters in back-quotes.",
    "`": "a back-quote is not closed (or quotes nothing).",
    "[": "brackets are not allowed.",
    "=": "'=' is not allowed; write '~' between the sides, and I(x == 1) for a comparison.",
}


class Token(NamedTuple):
    """kind: name, call, number or op."""

    kind: str
    text: str
    position: int


class Sides(NamedTuple):
    """The tokens on the two sides of '~'; `left` is None in a one-sided formula."""

    source: str
    left: tuple[Token, ...] | None
    right: tuple[Token, ...]


def error(source: str, reason: str, position: int | None = None) -> FormulaError:
    """The error for a formula: what came, where, and why it was refused."""
    where = "" if position is None else f" at character {position + 1}"
    return FormulaError(f"formula {shorten(source)!r}{where}: {reason}")


def tokenize(source: object) -> list[Token]:
    """Tokens of a formula; a call such as `log(x)` is one token, not yet looked into."""
    if not isinstance(source, str):
        raise FormulaError(f"a formula is a text such as 'y ~ x', got {type(source).__name__}.")
    if len(source) > MAX_LENGTH:
        raise error(source, f"longer than {MAX_LENGTH} characters ({len(source)}).")
    tokens, position = [], 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        assert match is not None
        kind, end = str(match.lastgroup), match.end()
        if kind == "bad":
            raise error(source, _BAD.get(match.group(), f"unexpected {match.group()!r}."), position)
        if kind == "name" and source[end : end + 1] == "(":
            kind, end = "call", _call_end(source, end)
        if kind != "space":
            text = match.group("quoted") if kind == "quoted" else source[position:end]
            tokens.append(Token("name" if kind == "quoted" else kind, text, position))
        position = end
    return tokens


def _call_end(source: str, start: int) -> int:
    """The position after the parenthesis that closes the one at `start`."""
    depth = 0
    for match in _CALL_PART.finditer(source, start):
        if match.group() in "{}":
            raise error(source, _BAD["{"], match.start())
        if match.group() in "([":
            depth += 1
        elif match.group() in ")]":
            depth -= 1
        if depth == 0:
            return match.end()
        if depth > MAX_PARENTHESES:
            raise error(source, f"more than {MAX_PARENTHESES} nested parentheses.", match.start())
    raise error(source, "a parenthesis is not closed.", start)


@lru_cache(maxsize=512)
def sides(source: str) -> Sides:
    """The two sides of a formula, with `|` and a second `~` refused."""
    tokens = tokenize(source)
    tildes = [i for i, token in enumerate(tokens) if token.text == "~" and token.kind == "op"]
    if not tildes:
        raise error(source, "there is no '~'; write 'y ~ x' for a response, or '~ x' for covariates only.")
    if len(tildes) > 1:
        raise error(source, "a second (nested) '~' is not allowed.", tokens[tildes[1]].position)
    for i, token in enumerate(tokens):
        if token == ("op", "|", token.position):
            raise error(source, _bar(tokens, i), token.position)
    if sum(token.text == "*" and token.kind == "op" for token in tokens) > MAX_STARS:
        raise error(source, f"more than {MAX_STARS} '*'; write the interactions you need with ':'.")
    cut = tildes[0]
    return Sides(source, tuple(tokens[:cut]) or None, tuple(tokens[cut + 1 :]))


def _bar(tokens: list[Token], index: int) -> str:
    depth = sum((t.text == "(") - (t.text == ")") for t in tokens[:index] if t.kind == "op")
    if depth > 0:
        return "grouping bars such as (1 | id) are not allowed: use unit= and random=, or shared=."
    return "'|' is only a shorthand for the gate of a mixture, 'y ~ x | z'; here use gate='~ z'."


def split_gate(formula: str) -> tuple[str, str | None]:
    """'y ~ x | z' -> ('y ~ x', '~ z'); without a bar ('y ~ x', None). FormulaError on a third part or an empty one."""
    bars, depth, tilde = [], 0, False
    for token in tokenize(formula):
        if token.kind == "op":
            depth += (token.text == "(") - (token.text == ")")
            tilde |= token.text == "~"
            if token.text == "|" and depth == 0 and tilde:
                bars.append(token.position)
    if not bars:
        return formula, None
    if len(bars) > 1:
        raise error(formula, "there is a third part after a second '|'; give further formulas by keyword.", bars[1])
    main, gate = formula[: bars[0]].strip(), formula[bars[0] + 1 :].strip()
    if not gate or main.endswith("~"):
        raise error(formula, "a part beside '|' is empty; write 1 for an intercept only.", bars[0])
    return main, f"~ {gate}"


def uses_dot(source: str) -> bool:
    """Whether the right side holds '.', all other columns."""
    return any(token.kind == "op" and token.text == "." for token in sides(source).right)
