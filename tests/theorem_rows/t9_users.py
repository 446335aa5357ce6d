"""T9-users."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import Certificate, Evidence, Protocol, UserScores
from conv4rec_bounds.theorems.t9_users import UserScoreMeans
from theorem_rows.common import REPLICATES, certified_value, confidences, scored_evidence, unrefused_value
from theorem_rows.row import Row

INDEPENDENT = Protocol("independent")


def scores(values: np.ndarray, **options: bool) -> UserScores:
    return UserScores({"NDCG": values, "recall": np.sqrt(values)}, **options)


def evidence(size: int = 10_000, **options: bool) -> Evidence:
    values = np.random.default_rng(0).beta(1, 3, size)
    return replace(scored_evidence(), user_scores=scores(values, **options))


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    values = given.user_scores.scores["NDCG"]
    # That V_U is the betting bound's is held by tests/bounds/test_t9_users.py.
    return float(values.mean() - math.sqrt(2 * certificate.quantities["V_U"] * math.log(40) / values.size))


def replicates() -> Iterator[tuple[float, float]]:
    """Users with chances of their own: most are hardly ever hit, some always, some half of the time."""
    rng = np.random.default_rng(41)
    chances = np.repeat([0.02, 1.0, 0.5], [60, 10, 30])
    for _ in range(REPLICATES):
        hits = rng.binomial(4, chances) / 4
        found = Evidence(9, INDEPENDENT, user_scores=scores(hits))
        yield certified_value(UserScoreMeans(), found), float(chances.mean())


def memorised() -> Iterator[tuple[float, float]]:
    """Score lists that were filled from the held-out parts themselves."""
    rng, items, users = np.random.default_rng(42), 200, 100
    for _ in range(100):
        listed = rng.integers(items, size=(users, 5))
        hits = np.ones(users)
        expected = np.array([np.unique(row).size / items for row in listed]).mean()
        found = Evidence(9, INDEPENDENT, user_scores=scores(hits, untouched=False))
        yield unrefused_value(UserScoreMeans(), found), float(expected)


def copies() -> Iterator[tuple[float, float]]:
    """Two hundred users who share three accounts: their scores are three, not two hundred."""
    rng = np.random.default_rng(43)
    for _ in range(100):
        found = np.repeat(np.where(rng.random(3) < 0.4, 1.0, 0.1), 200)
        yield unrefused_value(UserScoreMeans(), Evidence(9, Protocol("neither"), user_scores=scores(found))), 0.46


ROW = Row(
    theorem=UserScoreMeans(),
    inputs=st.fixed_dictionaries(
        {
            "N": st.integers(2, 10**9),
            "J": st.integers(1, 100),
            "delta": confidences,
            "Sbar": st.floats(0, 1),
            "V_U": st.floats(0, 1),
        }
    ),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, user_scores=None), "no scores of users"),
        (evidence(untouched=False), "has seen"),
        (evidence(1), "at least 2"),
        (replace(FULL, protocol=Protocol("neither")), "neither declared independent draws"),
        (replace(FULL, protocol=Protocol("finite pool")), "nor given as random subsets"),
        (evidence(whole_users=True), "users were not declared independent"),
    ),
    falls_in=("J", "V_U"),
    rises_in=("N", "delta", "Sbar"),
    vanishing=("Delta_S",),
    replicates=replicates,
    unrefused={"A1": memorised, "A2": copies},
)
