"""Adam: steps m / (sqrt(v) + eps) from running moments of the gradient (Kingma and Ba, 2015, ICLR), by optax."""

from typing import Any

from mixstat.exceptions import MixstatError


class MissingExtraError(MixstatError, ImportError):
    """A package of the extra `policies` is not installed."""


def missing(package: str, purpose: str) -> MissingExtraError:
    """What to tell who lacks an optional package."""
    return MissingExtraError(f"{purpose} needs {package}, which is not installed: pip install mixstat[policies]")


def adam(learning_rate: float, *, eps: float = 1e-8, clip: float | None = None) -> Any:
    """The optax transformation; `clip` bounds the norm of the gradient. MissingExtraError without optax."""
    try:
        import optax
    except ImportError:
        raise missing("optax", "training by gradient") from None
    steps = optax.adam(learning_rate, eps=eps)
    return steps if clip is None else optax.chain(optax.clip_by_global_norm(clip), steps)


def descend(transform: Any, gradient: Any, state: Any, params: Any) -> tuple[Any, Any]:
    """(parameters, optimizer state) after one step."""
    import optax

    updates, state = transform.update(gradient, state, params)
    return optax.apply_updates(params, updates), state
