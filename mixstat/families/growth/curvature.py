"""Score and curvature of a growth model over its predictors, from a subject's moments, in closed form.

Let V = (r, B) be the residual and the columns B of all coefficients that act linearly (whitened), G = V'V, and
U = V T = (r, L C) with the scaled loadings; Gamma = U'U = T'GT, M = I + (L C)'(L C) = Gamma_RR + I, K = M^-1,
h = (1, -b) with b = K Gamma_R0, A = h h' + K (K bordered by zeros). Then

    log f        = -(log|R| + log|M| + Gamma_00 - b' M b) / 2
    d  log f     = -(d log|R| + A : d Gamma) / 2
    d2 log f     = -(d2 log|R| + A : d2 Gamma) / 2 + w_p' K w_q + tr(K dM_p K dM_q) / 2,    w = (d Gamma h)_R

Coefficients and entries of C move T, sigma scales Gamma, and what acts nonlinearly (knots, rates, structured residuals)
moves G, whose derivatives are taken by forward mode. Only there, occasions are looked at.
"""

from collections.abc import Callable
from functools import partial
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.families.growth.algebra import cholesky, solve_lower, solve_upper

if TYPE_CHECKING:
    from mixstat.families.growth.mixed import MixedModel, Occasions

Array = Any
UNROLLED = 2


class _Moved(NamedTuple):
    """G (v, v, subject) and log|R| (subject,), with first (m, ...) and second (m, m, ...) derivatives."""

    value: tuple[Array, Array]
    first: tuple[Array, Array]
    second: tuple[Array, Array]


class _State(NamedTuple):
    """By subject: G (v, v), turned G T (v, u), gamma T'GT (u, u), h (u,), weight A (u, u), half L^-1 of M (q, q).

    K = (L^-1)'L^-1 stands between vectors as products of halves, which keeps digits where M is nearly singular.
    """

    gram: Array
    turned: Array
    gamma: Array
    h: Array
    weight: Array
    half: Array


class _Change(NamedTuple):
    """How parameters p change what matters: slope A : dGamma (p,), w (p, q), inner dM (p, q, q), each by subject.

    Of what turns, inner is (p, q), lines l of dM = e l' + l e' with one entry e; coefficients of the mean have none.
    """

    slope: Array
    w: Array
    inner: Array


def score_and_curvature(family: "MixedModel", eta: Array, at: "Occasions") -> tuple[Array, Array]:
    """First (P, subject) and second (P, P, subject) derivatives of the log-density at predictors (P, subject)."""
    roles = family.roles
    groups = [_index(group) for group in roles.moving]

    def moments(*values: Array) -> tuple[Array, Array]:
        there = list(eta)
        for group, value in zip(groups, values, strict=True):
            for place, predictor in zip(group, value, strict=True):
                there[place] = predictor
        return family.moments(there, at)

    moved = _moved(moments, [eta[group] for group in groups])
    turn = _Turn.of(family, eta)
    state = _state(moved.value[0], turn)
    turning, moving = _turning(turn, state), _moving(turn, state, moved)
    count = jnp.sum(at.seen, axis=0)
    order = [*roles.linear, *roles.entries, *(place for group in roles.moving for place in group)]
    changes = [moving]
    slopes = [-0.5 * turning.slope, -0.5 * (moving.slope + moved.first[1])]
    if roles.sigma >= 0:
        scaling = _scaling(state)
        order, changes = [*order, roles.sigma], [*changes, scaling]
        slopes.append(-0.5 * scaling.slope - count)
    direct = _direct(turn, state, moved, moving, turning, scaled=roles.sigma >= 0)
    curvature = direct + _gram(turn, state, turning, changes)
    back = np.argsort(order)
    return jnp.concatenate(slopes)[back], curvature[np.ix_(back, back)]


def _index(places: tuple[int, ...]) -> np.ndarray:
    return np.array(places, dtype=np.int64)


def _moved(function: Callable[..., tuple[Array, Array]], at: list[Array]) -> _Moved:
    """The moments with their derivatives by the moving predictors, group by group (m, subject).

    Two groups are differentiated one inside the other, so that what does not depend on both is not looked at twice.
    """
    groups = [place for place, values in enumerate(at) if len(values)]
    first = [_along(function, at, group) for group in groups]
    second = {}
    for i, j in combinations_with_replacement(range(len(groups)), 2):
        inner = partial(_along, function, group=groups[i])
        second[i, j] = _along(lambda *values, inner=inner: inner(list(values)), at, groups[j])
    value = function(*at)
    return _Moved(value, _joined(value, first), _square(value, second, len(groups)))


def _along(function: Callable[..., Any], at: list[Array], group: int) -> Any:
    """Derivatives (m, ...) of what `function` gives by one group of its arguments, in forward mode."""
    values = at[group]
    directions = jnp.eye(len(values))[:, :, None] * jnp.ones_like(values)
    over = _unrolled if len(values) <= UNROLLED else jax.vmap

    def push(direction: Array) -> Any:
        return jax.jvp(lambda v: function(*at[:group], v, *at[group + 1 :]), (values,), (direction,))[1]

    return over(push)(directions)


def _joined(value: Any, parts: list[Any]) -> Any:
    if not parts:
        return jax.tree.map(lambda x: jnp.zeros((0, *x.shape)), value)
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


def _square(value: Any, parts: dict[tuple[int, int], Any], count: int) -> Any:
    """(m, m, ...) from the blocks (m_j, m_i, ...) of groups i <= j."""
    if not count:
        return jax.tree.map(lambda x: jnp.zeros((0, 0, *x.shape)), value)

    def block(i: int, j: int) -> Any:
        return parts[j, i] if j <= i else jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), parts[i, j])

    rows = [
        jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), *(block(i, j) for j in range(count))) for i in range(count)
    ]
    return jax.tree.map(lambda *x: jnp.concatenate(x), *rows)


def _unrolled(function: Callable[[Array], Any]) -> Callable[[Array], Any]:
    """`jax.vmap` over few directions, which compiles faster."""

    def over(directions: Array) -> Any:
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *[function(d) for d in directions])

    return over


class _Turn(NamedTuple):
    """T (v, u), and for each parameter that moves it: row i, column a, dT_ia; `second` is d2T_ia."""

    matrix: Array
    row: np.ndarray
    column: np.ndarray
    first: Array
    second: Array

    @classmethod
    def of(cls, family: "MixedModel", eta: Array) -> "_Turn":
        """The entries of C are constant: those of the first subject are everybody's."""
        roles, rows, pairs = family.roles, np.array(family.column_rows, dtype=np.int64), family.pairs
        places = [rows[place - 1] for place in family.random_places]
        entries, residual = eta[_index(roles.entries), 0], _index(family.residual_rows)
        on_diagonal = np.array([j == i for j, i in pairs], dtype=bool)
        value = jnp.where(on_diagonal, jnp.exp(entries), entries)
        row = np.array([places[j] for j, _ in pairs], dtype=np.int64)
        column = np.array([1 + i for _, i in pairs], dtype=np.int64)
        matrix = jnp.zeros((len(residual) + len(rows), 1 + len(places)))
        matrix = matrix.at[residual, 0].set(1.0).at[row, column].set(value)
        linear = len(roles.linear)
        return cls(
            matrix,
            np.concatenate([rows[:linear], row]),
            np.concatenate([np.zeros(linear, dtype=np.int64), column]),
            jnp.concatenate([-jnp.ones(linear), jnp.where(on_diagonal, value, 1.0)]),
            jnp.concatenate([jnp.zeros(linear), jnp.where(on_diagonal, value, 0.0)]),
        )


def _state(gram: Array, turn: _Turn) -> _State:
    turned = jnp.einsum("vun,ua->van", gram, turn.matrix)
    gamma = jnp.einsum("van,vb->abn", turned, turn.matrix)
    size = gamma.shape[0] - 1
    ones = jnp.ones_like(gamma[0, 0])
    lower = cholesky([[gamma[1 + j, 1 + i] + float(i == j) for i in range(j + 1)] for j in range(size)])
    columns = [solve_lower(lower, [ones * float(i == j) for i in range(size)]) for j in range(size)]
    half = (
        jnp.stack([jnp.stack([columns[j][i] for j in range(size)]) for i in range(size)])
        if size
        else (jnp.zeros((0, 0, *ones.shape)))
    )
    right = gamma[1:, 0]
    mode = jnp.stack(solve_upper(lower, solve_lower(lower, list(right)))) if size else right
    h = jnp.concatenate([ones[None], -mode])
    weight = (h[:, None] * h[None]).at[1:, 1:].add(jnp.einsum("can,cbn->abn", half, half))
    return _State(gram, turned, gamma, h, weight, half)


def _turning(turn: _Turn, state: _State) -> _Change:
    """Coefficients and entries of C: dGamma = dT'GT + its transpose, dT one entry."""
    lines = turn.first[:, None, None] * state.turned[turn.row]
    slope = 2.0 * jnp.einsum("pun,pun->pn", lines, state.weight[turn.column])
    pick = jnp.asarray(np.eye(state.h.shape[0])[turn.column])[:, 1:]
    along = jnp.einsum("pun,un->pn", lines, state.h)
    inside = lines[:, 1:]
    w = pick[:, :, None] * along[:, None] + inside * state.h[turn.column][:, None]
    return _Change(slope, w, inside[turn.column > 0])


def _moving(turn: _Turn, state: _State, moved: _Moved) -> _Change:
    """What moves G: dGamma = T'dGT."""
    change = jnp.einsum("va,mvun,ub->mabn", turn.matrix, moved.first[0], turn.matrix)
    slope = jnp.einsum("mabn,abn->mn", change, state.weight)
    return _Change(slope, jnp.einsum("mabn,bn->man", change[:, 1:], state.h), change[:, 1:, 1:])


def _scaling(state: _State) -> _Change:
    """log sigma: dGamma = -2 Gamma."""
    slope = -2.0 * jnp.einsum("abn,abn->n", state.gamma, state.weight)
    return _Change(slope[None], 2.0 * state.h[None, 1:], -2.0 * state.gamma[None, 1:, 1:])


def _direct(turn: _Turn, state: _State, moved: _Moved, moving: _Change, turning: _Change, *, scaled: bool) -> Array:
    """-(d2 log|R| + A : d2Gamma) / 2, parameters in the order turning, moving, scaling."""
    own = turn.first[:, None] * turn.first[None]
    both = state.weight[turn.column][:, turn.column] * state.gram[turn.row][:, turn.row]
    top = -own[:, :, None] * both
    weighted = jnp.einsum("van,abn->vbn", state.turned, state.weight)
    diagonal = turn.second[:, None] * weighted[turn.row, turn.column]
    count = len(turn.row)
    top = top.at[np.arange(count), np.arange(count)].add(-diagonal)
    spread = jnp.einsum("ua,abn->ubn", turn.matrix, state.weight)
    cross = -turn.first[:, None, None] * jnp.swapaxes(
        jnp.einsum("mvun,ubn->mvbn", moved.first[0], spread)[:, turn.row, turn.column], 0, 1
    )
    outer = jnp.einsum("ubn,vb->uvn", spread, turn.matrix)
    low = -0.5 * (jnp.einsum("mluvn,uvn->mln", moved.second[0], outer) + moved.second[1])
    blocks = [[top, cross], [jnp.swapaxes(cross, 0, 1), low]]
    if scaled:
        by_sigma = jnp.concatenate([turning.slope, moving.slope])[:, None]
        blocks[0].append(by_sigma[:count])
        blocks[1].append(by_sigma[count:])
        total = -2.0 * jnp.einsum("abn,abn->n", state.gamma, state.weight)
        blocks.append([jnp.swapaxes(by_sigma[:count], 0, 1), jnp.swapaxes(by_sigma[count:], 0, 1), total[None, None]])
    return jnp.concatenate([jnp.concatenate(row, axis=1) for row in blocks])


def _gram(turn: _Turn, state: _State, turning: _Change, others: list[_Change]) -> Array:
    """w_p' K w_q + tr(K dM_p K dM_q) / 2, parameters in the order turning, others."""
    w = jnp.concatenate([turning.w, *(change.w for change in others)])
    first = jnp.einsum("abn,pbn->pan", state.half, w)
    second = _traces(turn.column[turn.column > 0] - 1, turning.inner, state.half, others)
    before = int(np.sum(turn.column == 0))
    return jnp.einsum("pan,qan->pqn", first, first).at[before:, before:].add(second)


def _traces(entry: np.ndarray, line: Array, half: Array, others: list[_Change]) -> Array:
    """tr(K dM_p K dM_q) / 2 of dM_p = e l' + l e', e one `entry`, then of full dM."""
    inner = jnp.concatenate([change.inner for change in others])
    ends, lines = half[:, entry], jnp.einsum("abn,pbn->pan", half, line)
    crossed = jnp.einsum("apn,qan->pqn", ends, lines)
    top = jnp.einsum("apn,aqn->pqn", ends, ends) * jnp.einsum("pan,qan->pqn", lines, lines)
    top = top + crossed * jnp.swapaxes(crossed, 0, 1)
    around = jnp.einsum("abn,mbcn,dcn->madn", half, inner, half)
    beside = jnp.einsum("apn,mabn,pbn->pmn", ends, around, lines)
    low = 0.5 * jnp.einsum("mabn,labn->mln", around, around)
    rows = [jnp.concatenate([top, beside], axis=1), jnp.concatenate([jnp.swapaxes(beside, 0, 1), low], axis=1)]
    return jnp.concatenate(rows)
