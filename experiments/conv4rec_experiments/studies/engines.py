"""Where the parts of a study are computed: here, in processes of this machine, or by the workers of a dask scheduler.

Every engine computes a part by the same function under the same number of threads, so that a part has the same bits
wherever it is computed. Engines yield parts in the order in which they are finished and write nothing.
"""

import os
import signal
import sys
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import current_process, get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from threading import Thread
from types import ModuleType

import polars as pl
import torch
from threadpoolctl import threadpool_limits

from conv4rec.errors import InputError
from conv4rec_experiments.studies.study import Part, Study, software

__all__ = ["Finished", "Measure", "Rows", "Work", "end_second_reading", "engine"]

Rows = dict[str, pl.DataFrame]
Measure = Callable[[Study, Part], Rows]
Finished = tuple[Part, Rows]

TRIES = 3
"""A part whose process dies so often is given up: other parts that died beside it are rarely that unlucky."""

ATTENTION = 0.5
"""Seconds after which an interrupt is heard at the latest."""

PATIENCE = 60
"""Seconds that a scheduler has to answer, and again to have a worker."""


@dataclass(frozen=True)
class Work:
    """The function of a part: what measures, of which study, by which software.

    ``measure`` must be importable by name where the part is computed.
    """

    measure: Measure
    study: Study
    software: dict[str, str]

    def __call__(self, part: Part) -> Rows:
        """Compute the rows of a part under the study's number of threads."""
        if (here := software()) != self.software:
            differing = ", ".join(
                f"{name} {here[name]} instead of {wanted}"
                for name, wanted in self.software.items()
                if here[name] != wanted
            )
            raise InputError(f"A worker has {differing}; numbers could differ; install the same versions everywhere.")
        before = torch.get_num_threads()
        torch.set_num_threads(self.study.threads)
        try:
            with threadpool_limits(self.study.threads):
                return self.measure(self.study, part)
        finally:
            torch.set_num_threads(before)


def engine(work: Work, parts: Sequence[Part], workers: int, scheduler: str | None) -> Generator[Finished]:
    """Compute parts by the engine that was asked for.

    Raises
    ------
    InputError
        If there are fewer than one workers, or both workers and a scheduler; if workers die again and again, or the
        scheduler does not answer.
    """
    if workers < 1:
        raise InputError(f"{workers} workers were asked for; at least 1 is needed; raise the number.")
    if scheduler is not None:
        if workers > 1:
            raise InputError(
                f"{workers} workers were asked for beside a scheduler, which has workers of its own; give one of them."
            )
        return _on_scheduler(work, parts, scheduler)
    if workers == 1 or len(parts) < 2:
        return ((part, work(part)) for part in parts)
    return _in_processes(work, parts, min(workers, len(parts)))


def end_second_reading() -> None:
    """End a worker that is still reading the script of its parent: the parent says what is wrong, and nobody else."""
    # Spawned processes have this mark until the script is read; without a guard it would start workers of its own.
    if getattr(current_process(), "_inheriting", False):
        sys.exit(1)


def _in_processes(work: Work, parts: Sequence[Part], workers: int) -> Generator[Finished]:
    """Keep every worker busy with one part; after a death start anew with what is not finished."""
    waiting, deaths = deque(parts), Counter[Part]()
    while waiting:
        lost: list[Part] = []
        with _pool(workers) as (pool, begun):
            running: dict[Future[Rows], Part] = {}
            while (waiting or running) and not lost:
                while waiting and len(running) < workers and not lost:
                    part = waiting.popleft()
                    try:
                        running[pool.submit(work, part)] = part
                    except BrokenProcessPool:
                        lost.append(part)
                # Polars restarts system calls that an interrupt breaks off: without a limit Ctrl-C would go unheard.
                for future in wait(running, timeout=ATTENTION, return_when=FIRST_COMPLETED).done:
                    part = running.pop(future)
                    try:
                        rows = future.result()
                    except BrokenProcessPool:
                        lost.append(part)
                        continue
                    yield part, rows
            # The pool is broken: every other part is either done by now or lost with it.
            for future, part in running.items():
                try:
                    yield part, future.result()
                except BrokenProcessPool:
                    lost.append(part)
        if lost and not begun.is_set():
            raise InputError(
                f"No worker process came to its work; with {workers} workers a script is read by each of them: call "
                "run under `if __name__ == '__main__':`, or ask for one worker."
            )
        deaths.update(lost)
        waiting.extendleft(reversed(lost))
        if lost and max(deaths.values()) >= TRIES:
            raise InputError(
                f"A worker process died {TRIES} times at the same part, perhaps for want of memory; what was finished "
                "is kept; run the study again with fewer workers or a smaller batch."
            )


@contextmanager
def _pool(workers: int) -> Iterator[tuple[ProcessPoolExecutor, Event]]:
    """Hold worker processes that live no longer than the block, nor than this process, and say whether any began."""
    context = get_context("spawn")
    reader, life = context.Pipe(duplex=False)
    begun = context.Event()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(reader, begun))
    try:
        yield pool, begun
    finally:
        # Whatever still runs is not wanted any more: without the pipe the workers end at once.
        life.close()
        pool.shutdown(cancel_futures=True)
        reader.close()


def _begin(reader: Connection, begun: Event) -> None:
    """Leave interrupts to the parent, and end when its end of the pipe is gone."""
    begun.set()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with, args=(reader,), daemon=True).start()


def _end_with(reader: Connection) -> None:
    try:
        reader.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


def _on_scheduler(work: Work, parts: Sequence[Part], address: str) -> Generator[Finished]:
    """Hand all parts to a scheduler; it gives a dead worker's parts, finished or not, to others."""
    distributed = _distributed()
    try:
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"No scheduler answers at {address}; start one with `dask scheduler`, or correct the address."
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as error:
            raise InputError(
                f"The scheduler at {address} has no workers; start some with `dask worker {address} --nthreads 1`."
            ) from error
        running = {client.submit(work, part, pure=False): part for part in parts}
        for future in distributed.as_completed(list(running), loop=client.loop):
            part = running.pop(future)
            yield part, _result(distributed, future, address)


def _result(distributed: ModuleType, future: "Future[Rows]", address: str) -> Rows:
    try:
        return future.result()
    except distributed.KilledWorker as error:
        raise InputError(
            "Workers died again and again at the same part, perhaps for want of memory; what was finished is kept; run "
            "the study again with more memory for each worker or a smaller batch."
        ) from error
    except ModuleNotFoundError as error:
        raise InputError(
            f"A worker of {address} has no module {error.name}; install conv4rec there, the same version as here."
        ) from error
    except (distributed.client.FutureCancelledError, distributed.CommClosedError) as error:
        raise InputError(
            f"The scheduler at {address} went away; what was finished is kept; start it and run the study again."
        ) from error


def _distributed() -> ModuleType:
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise InputError(
            "A scheduler needs the package distributed, which is not installed; get it with: "
            "pip install 'conv4rec[cluster]'"
        ) from error
    module: ModuleType = distributed
    return module
