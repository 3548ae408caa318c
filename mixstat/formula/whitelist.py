"""The expressions a formula may hold: Python syntax, checked node by node against a whitelist, and never compiled.

An expression is a call such as `log(x)` or `poly(x, 2)`. It may hold calls of registered functions, column names,
constants, arithmetic, comparisons, boolean operators, keywords, lists and tuples; nothing else. This is a filter for
notebooks and services, not a proven sandbox; `evaluate.py` walks the same tree and refuses every other node again.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import re
import unicodedata
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from mixstat.exceptions import FormulaError
from mixstat.formula import transforms

MAX_NODES = 500
MAX_DEPTH = 100
MAX_CONSTANT = 1e15
MAX_STRING = 200
MAX_POWER = 100

ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
LOGICAL = (ast.BitAnd, ast.BitOr)
UNARY = (ast.UAdd, ast.USub, ast.Not, ast.Invert)
COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*(?:\"|$)|'(?:\\.|[^'\\])*(?:'|$)|`([^`]*)`", re.DOTALL)
_LAG = re.compile(r"lag\((.+), (-?\d+)\)", re.DOTALL)


@dataclass(frozen=True)
class Expression:
    """A checked expression: canonical text, syntax tree and column names in order of appearance."""

    text: str
    node: ast.expr
    variables: tuple[str, ...]


def quoted(name: str) -> str:
    """The column's name as it stands in an expression: back-quoted unless Python's parser would keep it as it is."""
    plain = name.isidentifier() and not keyword.iskeyword(name) and unicodedata.normalize("NFKC", name) == name
    return name if plain else f"`{name}`"


def unquoted(identifier: str) -> str:
    """The column's name that `quoted` wrote."""
    return identifier[1:-1] if identifier.startswith("`") else identifier


def shorten(text: str, limit: int = 120) -> str:
    """The text for a message, cut to `limit` characters."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """' Did you mean ...?' when a known name is close, else an empty text."""
    close = difflib.get_close_matches(name, [str(k) for k in known], n=1) if len(name) < 100 else []
    return f" Did you mean {close[0]!r}?" if close else ""


def refuse(text: str, reason: str) -> FormulaError:
    """The error for an expression, quoting what came."""
    return FormulaError(f"in the expression {shorten(text)!r}: {reason}")


def parse_expression(text: str, *, left: bool = False) -> Expression:
    """The checked tree of one call (`left=True` allows cbind, ordered, Surv at the top); FormulaError otherwise."""
    try:
        return _parse_cached(text, left)
    except RecursionError:
        raise refuse(text, "nested too deeply.") from None


@lru_cache(maxsize=1024)
def _parse_cached(text: str, left: bool) -> Expression:
    node = _syntax(text)
    if sum(1 for _ in ast.walk(node)) > MAX_NODES or _depth(node) > MAX_DEPTH:
        raise refuse(text, f"over {MAX_NODES} parts or {MAX_DEPTH} levels; make the column in the data frame first.")
    node = _check_top(_Checker(text), node, left)
    variables = tuple(dict.fromkeys(unquoted(n.id) for n in _names(node)))
    if not variables:
        raise refuse(text, "it holds no column of the data; write a column's name (or 1 for an intercept).")
    return Expression(ast.unparse(node), node, variables)


def _syntax(text: str) -> ast.expr:
    """The syntax tree with back-quoted names put in place; nothing is compiled or run."""
    aliases: dict[str, str] = {}

    def alias(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return match.group(0)
        stem = "_q"
        while stem in text:
            stem += "q"
        name = f"{stem}{len(aliases)}_"
        aliases[name] = match.group(1)
        return f" {name} "

    plain = _QUOTED.sub(alias, text).strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            node = ast.parse(plain, mode="eval").body
        for name in (n for n in ast.walk(node) if isinstance(n, ast.Name)):
            name.id = quoted(aliases.get(name.id, name.id))
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError) as error:
        reason = f"not valid syntax ({type(error).__name__}); put column names with special characters in back-quotes."
        raise refuse(text, reason) from None
    return node


def _names(node: ast.AST) -> list[ast.Name]:
    """The nodes that name columns, in order of appearance (not functions, contrasts, `np` and `contr`)."""
    if isinstance(node, ast.Name):
        return [node]
    if isinstance(node, ast.Attribute):
        return []
    children = _data_arguments(node) if isinstance(node, ast.Call) else ast.iter_child_nodes(node)
    return [name for child in children for name in _names(child)]


def _data_arguments(node: ast.Call) -> list[ast.expr]:
    """The arguments that may hold columns: all of them, but only the first one of C."""
    function = transforms.FUNCTIONS.get(attribute(node.func))
    if function is not None and function.kind == "categorical":
        return node.args[:1]
    return [*node.args, *(k.value for k in node.keywords)]


def _depth(node: ast.AST) -> int:
    """Levels of the tree, counted without recursion."""
    level: list[ast.AST] = [node]
    depth = 0
    while level:
        level = [child for parent in level for child in ast.iter_child_nodes(parent)]
        depth += 1
    return depth


def _check_top(checker: _Checker, node: ast.expr, left: bool) -> ast.expr:
    if left and isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in transforms.RESPONSES:
        if any(option.arg is None for option in node.keywords):
            raise refuse(checker.text, "`**` arguments are not allowed.")
        for option in node.keywords:
            checker.constant(option.value)
        node.args = [checker.visit(argument) for argument in node.args]
        return node
    return checker.visit(node)


class _Checker:
    """Walks the tree once; node types not named here are refused. Each visit returns the node (lags become columns)."""

    def __init__(self, text: str) -> None:
        self.text = text

    def visit(self, node: ast.expr) -> ast.expr:
        method = getattr(self, "visit_" + type(node).__name__, None)
        if method is None:
            raise refuse(self.text, f"{_describe(node)} is not allowed.")
        return method(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in ("np", "contr") or (node.id.startswith("__") and node.id.endswith("__")):
            raise refuse(self.text, f"{node.id!r} cannot stand alone.")
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        value = node.value
        if isinstance(value, bool) or value is None:
            return node
        if isinstance(value, str):
            if len(value) > MAX_STRING:
                raise refuse(self.text, f"a text constant longer than {MAX_STRING} characters is not allowed.")
        elif not isinstance(value, (int, float)) or not abs(value) < MAX_CONSTANT:
            raise refuse(self.text, f"constants are numbers below {MAX_CONSTANT:g}, texts, True, False and None.")
        return node

    def constant(self, node: ast.expr) -> None:
        """A constant, a signed number, or a list of them."""
        if isinstance(node, (ast.List, ast.Tuple)):
            for item in node.elts:
                self.constant(item)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            self.visit(node)
        elif isinstance(node, ast.Constant):
            self.visit_Constant(node)
        elif not (isinstance(node, ast.Attribute) and attribute(node) in transforms.CONSTANTS):
            raise refuse(self.text, f"{_describe(node)} is not allowed here; write a constant.")

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        name = attribute(node)
        if name in transforms.CONSTANTS:
            return node
        if name in transforms.FUNCTIONS:
            raise refuse(self.text, f"the function {name} has to be called.")
        hint = f" For a column of that name write `{name}` in back-quotes." if name else ""
        raise refuse(self.text, f"attributes are not allowed beside a fixed set on np and contr.{hint}")

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if not isinstance(node.op, UNARY):
            raise refuse(self.text, f"the operator {type(node.op).__name__} is not allowed.")
        node.operand = self.visit_operand(node.operand)
        return node

    def visit_operand(self, node: ast.expr) -> ast.expr:
        """A part of arithmetic: no texts, lists or contrasts, whose repetition would fill the memory."""
        if isinstance(node, ast.Constant) and (isinstance(node.value, str) or node.value is None):
            raise refuse(self.text, "arithmetic on a text or None is not allowed.")
        if isinstance(node, (ast.List, ast.Tuple)):
            raise refuse(self.text, "arithmetic on lists is not allowed.")
        return self.visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if not isinstance(node.op, ARITHMETIC + LOGICAL):
            raise refuse(self.text, f"the operator {type(node.op).__name__} is not allowed.")
        if isinstance(node.op, ast.Pow):
            _check_power(self.text, node)
        elif isinstance(node.op, ast.Mult) and not _names(node):
            raise refuse(self.text, "a product of constants is not allowed: write its value.")
        node.left, node.right = self.visit_operand(node.left), self.visit_operand(node.right)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        node.values = [self.visit_operand(value) for value in node.values]
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        if not all(isinstance(op, COMPARISONS) for op in node.ops):
            raise refuse(self.text, "only ==, !=, <, <=, > and >= compare; write (x == 1) | (x == 2) for `in`.")
        node.left = self.visit(node.left)
        node.comparators = [self.visit(value) for value in node.comparators]
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = attribute(node.func)
        function = transforms.find(name, self.text)
        if function.kind == "contrast":
            raise refuse(self.text, f"{name}(...) is a contrast: it stands inside C(column, {name}(...)).")
        _check_arguments(self.text, node, function)
        if name == "lag":
            return self.lag(node)
        if function.kind == "categorical":
            return self.categorical(node)
        if function.kind == "transform":
            node.args[0] = self.visit(node.args[0])
            for value in [*node.args[1:], *(option.value for option in node.keywords)]:
                self.constant(value)
            return node
        node.args = [self.argument(a) for a in node.args]
        for option in node.keywords:
            option.value = self.argument(option.value)
        return node

    def categorical(self, node: ast.Call) -> ast.expr:
        """C(column, contrast, levels=[...]): data first, then constants."""
        options = [("contrasts", value) for value in node.args[1:]] + [(k.arg, k.value) for k in node.keywords]
        for name, value in options:
            if name == "contrasts":
                self.contrast(value)
            else:
                self.constant(value)
        node.args[0] = self.visit(node.args[0])
        return node

    def argument(self, node: ast.expr) -> ast.expr:
        if isinstance(node, (ast.List, ast.Tuple)):
            self.constant(node)
            return node
        return self.visit(node)

    def contrast(self, node: ast.expr) -> None:
        """Treatment, Treatment("b"), contr.sum, contr.sum(): constants only."""
        name = attribute(node.func if isinstance(node, ast.Call) else node)
        if not transforms.is_contrast(name):
            raise refuse(self.text, "the second argument of C is a contrast: Treatment('b'), Sum, Helmert, Diff, Poly.")
        if isinstance(node, ast.Call):
            _check_arguments(self.text, node, transforms.find(name, self.text))
            for argument in [*node.args, *(k.value for k in node.keywords)]:
                self.constant(argument)

    def lag(self, node: ast.Call) -> ast.expr:
        """lag(column, k) becomes a column of the data, made before rows with missing values are dropped."""
        steps = [*node.args[1:], *(k.value for k in node.keywords)]
        for step in steps:
            self.constant(step)
        try:
            value = ast.literal_eval(steps[0]) if steps else 1
        except (ValueError, TypeError):
            value = None
        if not isinstance(node.args[0], ast.Name) or len(steps) > 1 or type(value) is not int:
            raise refuse(self.text, "lag takes one column and a whole number: lag(x, 1).")
        return ast.Name(id=f"`lag({unquoted(node.args[0].id)}, {value})`", ctx=ast.Load())


def _check_power(text: str, node: ast.BinOp) -> None:
    """x ** constant only: computed exponents and powers of constants are refused."""
    exponent = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
    if not isinstance(exponent, ast.Constant) or not isinstance(exponent.value, (int, float)):
        raise refuse(text, "an exponent has to be a number; write exp(b * log(a)) for a computed one.")
    if abs(exponent.value) > MAX_POWER:
        raise refuse(text, f"exponents are at most {MAX_POWER}.")
    if not _names(node.left):
        raise refuse(text, "a power of constants is not allowed: write its value.")


def _check_arguments(text: str, node: ast.Call, function: transforms.Function) -> None:
    low, high = function.arity
    if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
        raise refuse(text, "`*` and `**` arguments are not allowed.")
    if not low <= len(node.args) <= high:
        count = str(low) if low == high else f"{low} to {high}"
        raise refuse(text, f"{function.name} takes {count} arguments without a keyword, got {len(node.args)}.")
    for option in node.keywords:
        if function.keywords is not None and option.arg not in function.keywords:
            allowed = ", ".join(sorted(function.keywords)) or "none"
            raise refuse(text, f"{function.name} has no keyword {option.arg!r}; it takes: {allowed}.")
    if function.kind != "contrast" and not ((node.args and _names(node.args[0])) or function.name == "where"):
        raise refuse(text, f"the first argument of {function.name} has to hold a column.")


def attribute(node: ast.expr) -> str:
    """'log' or 'np.log'; an empty text for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return ""


def _describe(node: ast.AST) -> str:
    return {
        "Lambda": "a lambda",
        "NamedExpr": "an assignment (:=)",
        "JoinedStr": "an f-string",
        "IfExp": "a conditional expression",
        "Subscript": "a subscript ([...])",
        "Starred": "a starred argument",
    }.get(type(node).__name__, f"a part of the kind {type(node).__name__}")


def lag_of(name: str) -> tuple[str, int] | None:
    """(column, steps) when the name is that of a lagged column, 'lag(x, 1)'."""
    match = _LAG.fullmatch(name)
    return (match.group(1), int(match.group(2))) if match else None
