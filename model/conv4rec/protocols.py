"""What each way to split allows to conclude, in sentences."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

__all__ = ["PROTOCOLS", "Protocol", "statement"]

Protocol: TypeAlias = Literal["coin", "interaction", "time", "period"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

ASSUMPTIONS: dict[Protocol, str] = {
    "coin": (
        "Protocol (c), item-wise: a coin, independent of the data, was tossed for every user and item, observed or "
        "not, and the softmax runs over the items outside the profile; given users and profiles the other "
        "interactions are independent if all interactions are independent given their users."
    ),
    "interaction": (
        "Protocol (b), interaction-wise: a random permutation of all interactions was cut; given users and profiles "
        "the other interactions are independent if all interactions are independent given their users."
    ),
    "time": (
        "Protocol (a), an earlier period: the profile was recorded before one date, the same for all users; given "
        "users and profiles the later interactions are independent only if, given the user, they are independent of "
        "each other and of the past, which no split can make true."
    ),
    "period": (
        "Protocol (a), given parts: the profile was recorded apart from the other parts; given users and profiles the "
        "other interactions are independent if they were drawn so."
    ),
}
POOL = {
    True: (
        "No user and item meet twice, so the interactions are a finite pool rather than independent draws: the scored "
        "part is a uniformly random subset, without replacement, of the pool outside the profile, and what can be "
        "certified is that pool; total variation to it means something on coarse cells only."
    ),
    False: (
        "No user and item meet twice, so the interactions are no independent draws, and this split is no random subset "
        "of a finite pool either: independence remains an assumption."
    ),
}


def statement(protocol: Protocol, *, has_repeats: bool) -> str:
    """Say which protocol a split satisfies, under which assumption, and whether the data is a finite pool.

    Examples
    --------
    >>> statement("time", has_repeats=True)[:33]
    'Protocol (a), an earlier period: '
    """
    if has_repeats:
        return ASSUMPTIONS[protocol]
    return f"{ASSUMPTIONS[protocol]} {POOL[protocol in ('coin', 'interaction')]}"
