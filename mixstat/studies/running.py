"""Running batches of replicates: one after another, or by joblib on whatever backend the user has chosen."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mixstat.studies.replicate import Batch, Record, Work, run_batch

LARGEST = 50
"""Replicates of a batch at most, so that results come to disk often."""


def run_batches(work: Work, batches: Sequence[Batch], n_jobs: int | None, keep: Callable[[list[Record]], None]) -> None:
    """Run all batches; `keep` receives each one's records as they come."""
    with noted_interrupts() as check:
        for records in _serial(work, batches) if n_jobs == 1 else _parallel(work, batches, n_jobs):
            check()
            keep(records)


def _serial(work: Work, batches: Sequence[Batch]) -> Iterator[list[Record]]:
    return (run_batch(work, batch) for batch in batches)


def _parallel(work: Work, batches: Sequence[Batch], n_jobs: int | None) -> Iterator[list[Record]]:
    """In rounds of two batches a worker: every backend can give a list back, only some a generator."""
    from joblib import Parallel, delayed, effective_n_jobs

    size = 2 * effective_n_jobs(n_jobs)
    with Parallel(n_jobs=n_jobs) as parallel:
        for start in range(0, len(batches), size):
            yield from parallel(delayed(run_batch)(work, batch) for batch in batches[start : start + size])


def batch_size(todo: int, n_jobs: int | None) -> int:
    """Replicates of a batch: one in a serial run, else many, as a worker compiles what it has not seen."""
    if n_jobs == 1:
        return 1
    from joblib import effective_n_jobs

    return max(1, min(LARGEST, todo // (4 * effective_n_jobs(n_jobs))))


@contextmanager
def noted_interrupts() -> Iterator[Callable[[], None]]:
    """A check that raises KeyboardInterrupt if one came, even where a fit caught it and returned its best so far."""
    came: list[int] = []
    before: Any = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: Any) -> None:
        came.append(number)
        before(number, frame)

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield check
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
