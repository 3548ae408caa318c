"""Constructor arguments as plain data, and back: estimators, families and extra classes by name, values by value.

Lists, texts and numbers stand for themselves; the rest are {"tuple": [...]}, {"dict": [[key, value], ...]} or
{KIND: name, "fields": {...}}, KIND being "estimator", "family" or "extra".
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache, partial
from numbers import Integral
from typing import Any

import numpy as np

from mixstat.core.family import Family
from mixstat.estimators.extras import Never, Noise, PointMass
from mixstat.exceptions import DataError
from mixstat.families import FAMILIES

EXTRAS: dict[str, type] = {"noise": Noise, "point_mass": PointMass, "never": Never}
OF_THE_SAMPLE = ("prior_classes", "start")
"""Arguments that hold one sample's data, unless they name columns."""


@cache
def _estimators() -> dict[str, type]:
    from mixstat.estimators.growth import GrowthCurve
    from mixstat.estimators.joint import Joint
    from mixstat.estimators.mixture import MixtureOfExperts
    from mixstat.estimators.ordinal import OrdinalRegression
    from mixstat.estimators.regression import Regression
    from mixstat.estimators.survival import SurvivalRegression

    kinds = (Regression, GrowthCurve, SurvivalRegression, OrdinalRegression, Joint, MixtureOfExperts)
    return {known.__name__: known for known in kinds}


def encode(value: Any, name: str = "the estimator") -> Any:
    """Plain data; DataError naming the argument where it is something that cannot be stored."""
    if type(value) in _estimators().values():
        given = value.get_params(deep=False)
        stored = {key: encode(_lasting(key, argument), key) for key, argument in given.items()}
        return {"estimator": type(value).__name__, "fields": stored}
    if isinstance(value, Family):
        return {"family": _registered(value), "fields": _encode_fields(value)}
    if isinstance(value, Noise | PointMass | Never):
        return {"extra": value.name, "fields": _encode_fields(value)}
    if isinstance(value, tuple):
        return {"tuple": [encode(item, name) for item in value]}
    if isinstance(value, list):
        return [encode(item, name) for item in value]
    if isinstance(value, Mapping):
        return {"dict": [[encode(key, name), encode(item, name)] for key, item in value.items()]}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    kinds = ", ".join(_estimators())
    raise DataError(f"{name} holds a {type(value).__name__}, which cannot be saved; use numbers, texts, {kinds}")


def decode(stored: Any, families: Mapping[str, Family]) -> Any:
    """What `encode` was given. `families` by name go before the registry."""
    if isinstance(stored, list):
        return [decode(item, families) for item in stored]
    if not isinstance(stored, dict):
        return stored
    if set(stored) == {"tuple"}:
        return tuple(decode(item, families) for item in stored["tuple"])
    if set(stored) == {"dict"}:
        return {decode(key, families): decode(value, families) for key, value in stored["dict"]}
    makers: dict[str, Any] = {"estimator": _estimator, "family": partial(_family, families), "extra": _extra}
    kind = next((kind for kind in makers if set(stored) == {kind, "fields"}), None)
    if kind is None or not isinstance(stored[kind], str) or not isinstance(stored["fields"], dict):
        raise DataError(f"an argument is stored in no known way: {sorted(stored)}"[:200])
    given = {key: decode(value, families) for key, value in stored["fields"].items()}
    if kind == "estimator" and isinstance(given.get("family"), str):
        given["family"] = families.get(given["family"], given["family"])
    return makers[kind](stored[kind], given)


def _lasting(name: str, value: Any) -> Any:
    """The argument, or None where it belongs to one sample or one stream of random numbers."""
    if name == "random_state" and not isinstance(value, Integral):
        return None
    listed = value if isinstance(value, list | tuple) else [value]
    if name in OF_THE_SAMPLE and not all(isinstance(item, str) for item in listed):
        return None
    return value


def _encode_fields(value: Any) -> dict[str, Any]:
    return {field.name: encode(getattr(value, field.name), field.name) for field in fields(value)}


def _registered(family: Family) -> str:
    if FAMILIES.get(family.name) is not type(family):
        kind = type(family).__name__
        raise DataError(
            f"family {family.name!r} ({kind}) is not in the registry, and a file holds no code; register it, "
            f"mixstat.families.FAMILIES[{family.name!r}] = {kind}, and save again (before loading elsewhere register "
            f"it there, or pass load(path, families=[{kind}()]))"
        )
    return family.name


def _family(families: Mapping[str, Family], name: str, given: dict[str, Any]) -> Family:
    known = type(families[name]) if name in families else FAMILIES.get(name)
    if known is None:
        raise DataError(
            f"the model's family {name[:80]!r} is not known here; register it in mixstat.families.FAMILIES, or pass "
            "load(path, families=[...]) an instance of it"
        )
    made = known(**_declared(name, given, {field.name for field in fields(known)}))
    hash(made)
    return made


def _extra(name: str, given: dict[str, Any]) -> Any:
    if name not in EXTRAS:
        raise DataError(f"an extra class {name[:80]!r} is not known; there are {', '.join(EXTRAS)}")
    return EXTRAS[name](**_declared(name, given, {field.name for field in fields(EXTRAS[name])}))


def _estimator(name: str, given: dict[str, Any]) -> Any:
    """Arguments that are not there (those of an earlier release) take their default."""
    if name not in _estimators():
        raise DataError(f"an estimator {name[:80]!r} is not known; there are {', '.join(_estimators())}")
    maker: Any = _estimators()[name]
    if name != "Regression":
        _declared(name, given, set(maker._get_param_names()))
    return maker(**given)


def _declared(name: str, given: dict[str, Any], known: set[str]) -> dict[str, Any]:
    unknown = sorted(set(given) - known)
    if unknown:
        raise DataError(f"{name} has no argument {unknown[0][:80]!r}; it has {', '.join(sorted(known)) or 'none'}")
    return given
