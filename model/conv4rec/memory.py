"""What the machine can carry: free memory, users per batch, threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from conv4rec.errors import InputError

__all__ = ["available_memory", "chosen_threads", "users_per_batch"]

# Numbers held at once for each user and item of a batch, with their gradients: for each level the logits, for each
# channel the decoded values and what their activation keeps, and besides them the offset's channel and the sums over
# levels.
COPIES_OF_LEVEL = 3
COPIES_OF_CHANNEL = 5
COPIES_OF_ITEM = 4
# A weight, its gradient, two moments of the optimiser, the best value so far, its start or next best value; and the
# four that a checkpoint writes.
WEIGHT_COPIES = 10
SHARE_OF_MEMORY = 0.8
# Below so many logits per batch a second thread costs more than it brings.
LOGITS_PER_THREAD = 2**18


def available_memory(device: torch.device) -> int:
    """Return how many bytes a program may still take on the device without swapping.

    Examples
    --------
    >>> available_memory(torch.device("cpu")) > 2**20
    True
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    information = Path("/proc/meminfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    # Where free memory is not told, half of what is built in is a cautious guess.
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def users_per_batch(
    wanted: int,
    *,
    n_items: int,
    n_levels: int,
    channels: int,
    itemsize: int,
    available: int,
    weights: int = 0,
) -> int:
    """Return the number of users whose logits fit in memory at once, at most `wanted`.

    Parameters
    ----------
    wanted : int
        Users per batch asked for.
    n_items, n_levels, channels : int
        Sizes of the axes `item`, `level` and `channel`.
    itemsize : int
        Bytes of one logit.
    available : int
        Free bytes, see `available_memory`.
    weights : int
        Number of weights to be trained; 0 for a network that only predicts.

    Raises
    ------
    InputError
        If the logits of one user do not fit.

    Examples
    --------
    >>> users_per_batch(32, n_items=1000, n_levels=10, channels=3, itemsize=4, available=10**6)
    4
    """
    for_weights = weights * itemsize * WEIGHT_COPIES
    for_item = COPIES_OF_LEVEL * n_levels + COPIES_OF_CHANNEL * channels + COPIES_OF_ITEM
    for_user = n_items * for_item * itemsize
    fitting = (int(available * SHARE_OF_MEMORY) - for_weights) // for_user
    if fitting < 1:
        raise InputError(
            f"The model does not fit in memory: one user has {n_items} items x {n_levels} levels = "
            f"{n_items * n_levels} logits, which need {(for_user + for_weights) / 1e9:.3g} GB with the weights, and "
            f"{available / 1e9:.3g} GB are free; keep fewer items or levels, or use a smaller code or fewer channels."
        )
    return min(wanted, fitting)


@contextmanager
def chosen_threads(logits_per_batch: int, threads: int | None = None) -> Iterator[int]:
    """Run a block with as many CPU threads as its size deserves, and restore the setting afterwards.

    On small models several threads are slower than one. Without `threads`, one thread is used for each
    2^18 logits of a batch, at most as many as were allowed before.

    Parameters
    ----------
    logits_per_batch : int
        Users per batch times items times levels.
    threads : int, optional
        A number of threads that overrides the choice.

    Examples
    --------
    >>> with chosen_threads(1000) as number:
    ...     number, torch.get_num_threads()
    (1, 1)
    """
    before = torch.get_num_threads()
    number = threads or min(before, max(1, logits_per_batch // LOGITS_PER_THREAD))
    torch.set_num_threads(number)
    try:
        yield number
    finally:
        torch.set_num_threads(before)
