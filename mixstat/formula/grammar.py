"""Formulas: text -> tokens -> terms, by our own parser; nothing is run, and nothing grows beyond the caps below.

    y ~ a * b + offset(log(e))      operators + - : * / ** (or ^), 0 and 1 for the intercept, `.` for the rest

Terms come in order of degree, as in R. Wilkinson and Rogers (1973), Applied Statistics 22, 392-399.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from mixstat.exceptions import FormulaError
from mixstat.formula.lexer import MAX_PARENTHESES, Token, error, sides, tokenize
from mixstat.formula.whitelist import parse_expression, refuse, shorten

MAX_EXPONENT = 3
MAX_TERMS = 1000
MAX_DEGREE = 9
MAX_PRODUCTS = 20_000


@dataclass(frozen=True, order=True)
class Factor:
    """A column (`text` is its name) or a call (`text` is its canonical expression)."""

    text: str
    is_call: bool

    @property
    def variables(self) -> tuple[str, ...]:
        """The columns used, in order of appearance."""
        return parse_expression(self.text).variables if self.is_call else (self.text,)


Term = tuple[Factor, ...]
Terms = dict[frozenset[Factor], Term]
INTERCEPT: frozenset[Factor] = frozenset()


def label(term: Term) -> str:
    """'1', 'x', 'a:b': how the term is named in `shared=` and in tables."""
    return ":".join(factor.text for factor in term) or "1"


def spelled(names: str) -> tuple[str, ...]:
    """The labels that tables give to the terms of "a + b:c"; a part that is no formula stands for itself."""
    try:
        right = parse_right(f"~ 0 + {names}")
    except FormulaError:
        parts = [part.strip() for part in names.split("+") if part.strip()]
        return tuple(parts) if len(parts) < 2 else tuple(name for part in parts for name in spelled(part))
    if right.offsets:
        return (names,)
    return tuple(label(term) if term else "Intercept" for term in right.terms)


def whatever_order(label: str) -> tuple[str, ...]:
    """What the labels of an interaction have in common, however its factors are ordered."""
    return tuple(sorted(label.split(":")))


@dataclass(frozen=True)
class Right:
    """The right side: terms by degree (the intercept is the empty term) and the factors inside offset(...)."""

    terms: tuple[Term, ...]
    offsets: tuple[Factor, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        """The columns used by terms and offsets, in order of appearance."""
        factors = [*(f for term in self.terms for f in term), *self.offsets]
        return tuple(dict.fromkeys(name for factor in factors for name in factor.variables))


@lru_cache(maxsize=512)
def parse_right(source: str, others: tuple[str, ...] | None = None) -> Right:
    """The right side's terms; `others` are the columns that '.' stands for."""
    parts = sides(source)
    if not parts.right:
        raise error(source, "nothing stands right of '~'; write 1 for an intercept only.")
    if others is not None and len(others) > MAX_TERMS:
        raise error(source, f"'.' stands for {len(others)} columns, more than {MAX_TERMS}; name those you need.")
    try:
        terms = _Parser(source, parts.right, others).parse()
    except RecursionError:
        raise error(source, "nested too deeply.") from None
    offsets = [term[0] for term in terms.values() if len(term) == 1 and _is_offset(term[0])]
    kept = [term for term in terms.values() if not any(_is_offset(factor) for factor in term)]
    if len(offsets) + len(kept) < len(terms):
        raise error(source, "offset(...) stands alone, added with '+'; it cannot interact.")
    return Right(tuple(sorted(kept, key=len)), tuple(_inner(factor) for factor in offsets))


def _is_offset(factor: Factor) -> bool:
    return factor.is_call and factor.text.startswith("offset(")


def _inner(factor: Factor) -> Factor:
    """The factor inside offset(...), with an error of its own where it holds no column."""
    inner = factor.text[len("offset(") : -1]
    if all(token.kind in ("number", "op") for token in tokenize(inner)):
        raise refuse(factor.text, "an offset is a column or a function of columns; a constant is the intercept's.")
    return make_factor(inner)


def make_factor(text: str) -> Factor:
    """A call's or a back-quoted or plain name's factor, checked against the whitelist."""
    tokens = tokenize(text)
    if len(tokens) == 1 and tokens[0].kind == "name":
        return Factor(tokens[0].text, False)
    if len(tokens) != 1 or tokens[0].kind != "call":
        text = f"I({text})"
    elif tokens[0].text.startswith("offset("):
        return Factor(text, True)
    checked = parse_expression(text)
    lagged = len(checked.variables) == 1 and checked.text == f"`{checked.variables[0]}`"
    return Factor(checked.variables[0], False) if lagged else Factor(checked.text, True)


class _Node(NamedTuple):
    """Terms, and the largest product of nested exponents in them."""

    terms: Terms
    exponent: int


def _single(factors: list[Factor]) -> Terms:
    return {frozenset((factor,)): (factor,) for factor in factors}


def _joint(terms: Terms) -> Terms:
    """The interaction of all terms: what stands before '/'."""
    factors = tuple(dict.fromkeys(factor for term in terms.values() for factor in term))
    return {frozenset(factors): factors}


class _Parser:
    """Recursive descent over the tokens; every product is counted before it is formed."""

    def __init__(self, source: str, tokens: tuple[Token, ...], others: tuple[str, ...] | None) -> None:
        self.source, self.tokens, self.others = source, tokens, others
        self.at = self.products = self.depth = 0

    def parse(self) -> Terms:
        terms = self.sum({INTERCEPT: ()}).terms
        if self.at < len(self.tokens):
            raise self.unexpected()
        return terms

    def peek(self) -> str:
        """The operator at hand, or an empty text."""
        token = self.tokens[self.at] if self.at < len(self.tokens) else None
        return token.text if token is not None and token.kind == "op" else ""

    def error(self, reason: str) -> FormulaError:
        token = self.tokens[min(self.at, len(self.tokens) - 1)]
        return error(self.source, reason, token.position)

    def unexpected(self) -> FormulaError:
        if self.at >= len(self.tokens):
            return self.error("it ends where a term was expected.")
        token = self.tokens[self.at]
        hint = " ('in' is not an operator here: write a/b for b nested in a)" if token.text == "in" else ""
        return self.error(f"unexpected {shorten(token.text, 40)!r}; an operator or a term is missing{hint}.")

    def sum(self, terms: Terms) -> _Node:
        """Terms added to and removed from `terms` (the intercept on top, nothing within parentheses)."""
        exponent, first = 1, True
        while first or self.peek() in ("+", "-"):
            minus = False
            while self.peek() in ("+", "-"):
                minus ^= self.peek() == "-"
                self.at += 1
            zero = self.is_zero()
            if zero and self.depth:
                raise self.error("0 within parentheses has no meaning; write it outside.")
            node = _Node({INTERCEPT: ()}, 1) if zero else self.product()
            self.at += zero
            if minus != zero:
                self.remove(terms, node.terms)
            else:
                self.add(terms, node.terms)
            exponent, first = max(exponent, node.exponent), False
        return _Node(terms, exponent)

    def is_zero(self) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at][:2] == ("number", "0")

    def add(self, terms: Terms, more: Terms) -> None:
        for key, term in more.items():
            terms.setdefault(key, term)
        if len(terms) > MAX_TERMS:
            raise self.error(f"more than {MAX_TERMS} terms.")

    def remove(self, terms: Terms, less: Terms) -> None:
        for key, term in less.items():
            if key not in terms and (self.depth or key != INTERCEPT):
                raise self.error(f"'- {label(term)}' removes nothing: that term is not there.")
            terms.pop(key, None)

    def product(self) -> _Node:
        left = self.interaction()
        while self.peek() in ("*", "/"):
            star = self.peek() == "*"
            self.at += 1
            right = self.interaction()
            parents = left.terms if star else _joint(left.terms)
            both, terms = self.cross(parents, right.terms), dict(left.terms)
            self.add(terms, right.terms if star else {})
            self.add(terms, both)
            left = _Node(terms, max(left.exponent, right.exponent))
        return left

    def cross(self, left: Terms, right: Terms) -> Terms:
        self.products += len(left) * len(right)
        if self.products > MAX_PRODUCTS:
            raise self.error(f"it expands to too many terms (over {MAX_TERMS}); write the interactions you need.")
        made: Terms = {}
        for a in left.values():
            for b in right.values():
                term = tuple(dict.fromkeys(a + b))
                made.setdefault(frozenset(term), term)
                if len(term) > MAX_DEGREE:
                    raise self.error(f"an interaction of more than {MAX_DEGREE} factors.")
        if len(made) > MAX_TERMS:
            raise self.error(f"more than {MAX_TERMS} terms.")
        return made

    def interaction(self) -> _Node:
        left = self.power()
        while self.peek() == ":":
            self.at += 1
            right = self.power()
            left = _Node(self.cross(left.terms, right.terms), max(left.exponent, right.exponent))
        return left

    def power(self) -> _Node:
        node = self.atom()
        while self.peek() in ("**", "^"):
            self.at += 1
            token = self.tokens[self.at] if self.at < len(self.tokens) else None
            if token is None or token.kind != "number" or not re.fullmatch("0*[1-9]", token.text):
                raise self.error(f"an exponent is a whole number from 1 to {MAX_EXPONENT}; write I(x**2) for a square.")
            exponent = int(token.text) * node.exponent
            if exponent > MAX_EXPONENT:
                raise self.error(f"exponents (multiplied when nested) are at most {MAX_EXPONENT}, got {exponent}.")
            terms = node.terms
            for _ in range(int(token.text) - 1):
                terms = self.cross(terms, node.terms)
            node = _Node(terms, exponent)
            self.at += 1
        return node

    def atom(self) -> _Node:
        if self.at >= len(self.tokens):
            raise self.unexpected()
        token = self.tokens[self.at]
        if token.kind == "op" and token.text == "(":
            return self.parenthesis()
        if token.kind == "op" and token.text == ".":
            if self.others is None:
                raise self.error("'.' needs data to say which columns it stands for.")
            terms = _single([Factor(name, False) for name in self.others])
        elif token.kind == "op":
            raise self.unexpected()
        elif token.kind == "number":
            if token.text != "1":
                raise self.error("only 1 and 0 (the intercept) may stand as numbers; I(2 * x) scales a column.")
            terms = {INTERCEPT: ()}
        else:
            terms = _single([Factor(token.text, False) if token.kind == "name" else make_factor(token.text)])
        self.at += 1
        return _Node(terms, 1)

    def parenthesis(self) -> _Node:
        self.at += 1
        self.depth += 1
        if self.depth > MAX_PARENTHESES:
            raise self.error(f"more than {MAX_PARENTHESES} nested parentheses.")
        node = self.sum({})
        if self.peek() != ")":
            raise self.error("a parenthesis is not closed.") if self.at >= len(self.tokens) else self.unexpected()
        self.depth -= 1
        self.at += 1
        return node
