"""Formulas: text and a table in, named matrices out. Nothing in a formula is executed; formulaic loads on need."""

from mixstat.formula.left import Response
from mixstat.formula.lexer import split_gate
from mixstat.formula.reshape import wide_to_long
from mixstat.formula.schema import Materialized, Matrix, Schema
from mixstat.formula.transforms import register_transform

__all__ = ["Materialized", "Matrix", "Response", "Schema", "register_transform", "split_gate", "wide_to_long"]
