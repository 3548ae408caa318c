"""Progress bars that show only when work takes more than a second."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mixstat.exceptions import ConvergenceWarning
from mixstat.fit.options import Options


class Progress:
    """Stages of a fit on one tqdm bar; does nothing when silent."""

    def __init__(self, silent: bool):
        self.silent = silent
        self.bar: Any = None

    def begin(self, stage: str, total: int) -> None:
        self.close()
        if not self.silent and total > 1:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=total, desc=stage, delay=1.0, leave=False)

    def advance(self, log_likelihood: float) -> None:
        if self.bar is not None:
            self.bar.set_postfix(log_likelihood=f"{log_likelihood:.3f}", refresh=False)
            self.bar.update()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def progress(options: Options) -> Progress:
    """The bar of one fit: silent when `verbose` is 0."""
    return Progress(options.verbose < 1)


@contextmanager
def counting(what: str, total: int, *, silent: bool) -> Iterator[Callable[[], Any]]:
    """A bar over `total` equal pieces of work; gives the function that counts one."""
    from tqdm.auto import tqdm

    with tqdm(total=total, desc=what, delay=1.0, leave=False, disable=silent) as bar:
        yield bar.update


def warn_of_interrupt(what: str, done: int, total: int) -> None:
    """A warning that the result of `what` rests on a part of the work."""
    warnings.warn(f"{what} was interrupted: {done} of {total} are done", ConvergenceWarning, stacklevel=4)
