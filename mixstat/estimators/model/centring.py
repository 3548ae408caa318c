"""Centring: repeated outcomes are fitted in coordinates of their own where the model keeps its form in them.

What tables show, and what new data are read into, follow from the constants that a family then has.
"""

from collections.abc import Callable, Mapping

import numpy as np

from mixstat.core.family import Family
from mixstat.estimators.model.assembly import Assembled
from mixstat.estimators.model.responses import ResponseData
from mixstat.estimators.model.slots import Slot, by_key
from mixstat.families.growth.centring import Use
from mixstat.families.growth.mixed import MixedModel
from mixstat.fit.ties import Ties
from mixstat.inference.natural import keeps_form

Assemble = Callable[[Mapping[str, Family]], Assembled]


def centred(
    assembled: Assembled, responses: dict[str, ResponseData], weight: np.ndarray, assemble: Assemble
) -> tuple[Assembled, dict[str, ResponseData]]:
    """The model and its responses in the first coordinates that keep the form of all outcomes together.

    A penalty is of slopes as they are shown.
    """
    if any(slot.plan.penalty for slot in by_key(assembled.stacks).values()):
        return assembled, responses
    choices = {
        key: response.family.centrings(response.data, weight, _use(assembled, key))
        for key, response in responses.items()
        if isinstance(response.family, MixedModel)
    }
    for rank in range(max(map(len, choices.values()), default=0)):
        chosen = {key: found[min(rank, len(found) - 1)] for key, found in choices.items() if found}
        trial = assemble({key: chosen.get(key, response.family) for key, response in responses.items()})
        if keeps_form(trial.mixture, trial.named.ties):
            return trial, responses | {key: _entered(responses[key], family) for key, family in chosen.items()}
    return assembled, responses


def _entered(response: ResponseData, family: MixedModel) -> ResponseData:
    return response._replace(family=family, data=family.entered(response.data))


def _use(assembled: Assembled, key: str) -> Use:
    """How the predictors of an outcome are used."""
    slot, where = by_key(assembled.stacks)[key], _coefficients(assembled, key)
    counts = np.bincount(assembled.named.ties.index[assembled.named.ties.free], minlength=assembled.named.ties.size)
    return Use(_constant(slot), np.array([_is_shared(assembled.named.ties, counts, own) for own in where]))


def _constant(slot: Slot) -> np.ndarray:
    pairs = zip(slot.columns, slot.offsets, strict=True)
    return np.array([columns == (0,) and offset < 0 for columns, offset in pairs])


def _is_shared(ties: Ties, counts: np.ndarray, own: np.ndarray) -> bool:
    free = ties.index[own]
    return bool(np.any(counts[free[free >= 0]] > 1))


def _coefficients(assembled: Assembled, key: str) -> list[np.ndarray]:
    """Positions in phi of the coefficients of each predictor of an outcome, in the first expert that has it."""
    parts, _ = assembled.mixture.split(np.arange(assembled.mixture.size))
    groups = zip(assembled.mixture.groups, parts, assembled.stacks, strict=True)
    for group, part, stacks in groups:
        for outcome, rows, slots in zip(group.outcomes, group.split(part), stacks, strict=True):
            for item, slot in enumerate(slots):
                if slot.plan.key == key:
                    return [rows[0, item][outcome.parameter_of == p] for p in range(len(outcome.columns))]
    raise KeyError(key)
