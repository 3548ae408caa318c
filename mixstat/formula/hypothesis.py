"""Linear hypotheses as text: "1:mean:x = 2:mean:x", "2*a - b = 1", over given names. Nothing is executed.

hypothesis := sum ["=" sum],  sum := [sign] term {sign term},  term := factor {("*" | "/") factor}
factor := number | name | "(" sum ")"
"""

import re
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

import numpy as np

from mixstat.exceptions import FormulaError

NUMBER = re.compile(r"\d+(\.\d*)?([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?")
DEEPEST = 50
"""Nested brackets that are read."""


class Linear(NamedTuple):
    """coefficients' b + constant."""

    coefficients: np.ndarray
    constant: float

    @property
    def is_constant(self) -> bool:
        return not self.coefficients.any()

    def plus(self, other: "Linear", sign: float) -> "Linear":
        return Linear(self.coefficients + sign * other.coefficients, self.constant + sign * other.constant)

    def times(self, factor: float) -> "Linear":
        return Linear(self.coefficients * factor, self.constant * factor)


def parse_hypothesis(text: str, names: Sequence[str]) -> tuple[np.ndarray, float]:
    """(row r, value q) of the restriction r' b = q on the coefficients b of these names; without "=" it is 0."""
    return _Parser(text, names).hypothesis()


class _Parser:
    def __init__(self, text: str, names: Sequence[str]):
        self.text, self.names = text, list(names)
        self.longest = sorted(range(len(self.names)), key=lambda i: -len(self.names[i]))
        self.place, self.depth = 0, 0

    def hypothesis(self) -> tuple[np.ndarray, float]:
        side = self.sum()
        if self.take("="):
            side = side.plus(self.sum(), -1.0)
        self.skip()
        if self.place < len(self.text):
            self.fail("expected an operator or the end")
        if side.is_constant:
            raise FormulaError(f"the hypothesis {self.text!r} restricts no coefficient")
        return side.coefficients, -side.constant

    def sum(self) -> Linear:
        sign = -1.0 if self.take("-") else 1.0
        if sign > 0:
            self.take("+")
        total = self.term().times(sign)
        while True:
            if self.take("+"):
                total = total.plus(self.term(), 1.0)
            elif self.take("-"):
                total = total.plus(self.term(), -1.0)
            else:
                return total

    def term(self) -> Linear:
        product = self.factor()
        while True:
            if self.take("*"):
                product = self.multiply(product, self.factor())
            elif self.take("/"):
                product = self.divide(product, self.factor())
            else:
                return product

    def multiply(self, left: Linear, right: Linear) -> Linear:
        if not (left.is_constant or right.is_constant):
            self.fail("a product of coefficients is not linear (use delta() for it)")
        return right.times(left.constant) if left.is_constant else left.times(right.constant)

    def divide(self, left: Linear, right: Linear) -> Linear:
        if not right.is_constant or right.constant == 0:
            self.fail("can only divide by a number other than 0")
        return left.times(1 / right.constant)

    def factor(self) -> Linear:
        self.skip()
        for index in self.longest:
            name = self.names[index]
            if self.text.startswith(name, self.place):
                self.place += len(name)
                return Linear(np.eye(len(self.names))[index], 0.0)
        if self.take("("):
            self.depth += 1
            if self.depth > DEEPEST:
                self.fail("too many brackets")
            inner = self.sum()
            if not self.take(")"):
                self.fail("expected ')'")
            self.depth -= 1
            return inner
        found = NUMBER.match(self.text, self.place)
        if not found:
            self.fail("expected a coefficient or a number")
        self.place = found.end()
        return Linear(np.zeros(len(self.names)), float(found.group()))

    def take(self, symbol: str) -> bool:
        self.skip()
        if self.text.startswith(symbol, self.place):
            self.place += len(symbol)
            return True
        return False

    def skip(self) -> None:
        while self.place < len(self.text) and self.text[self.place].isspace():
            self.place += 1

    def fail(self, why: str) -> NoReturn:
        known = ", ".join(self.names[:12]) + (", ..." if len(self.names) > 12 else "")
        raise FormulaError(
            f"the hypothesis {self.text!r} cannot be read at {self.text[self.place :][:20]!r}: {why}; "
            f"coefficients are: {known}"
        )
