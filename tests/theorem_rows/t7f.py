"""T7f."""

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import Certificate, Evidence, Protocol, Rounds
from conv4rec_bounds.coincidences import coincidences
from conv4rec_bounds.rounding import Number
from conv4rec_bounds.theorems.t7f_coincidences import CoincidenceTotalVariation
from theorem_rows.block_fits import block_fits
from theorem_rows.common import DELTA, certified_value, confidences, scored_evidence
from theorem_rows.row import Row

INDEPENDENT = Protocol("independent")
LAWS = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
SHARES = np.array([[0.48, 0.32, 0.2], [0.12, 0.2, 0.68]])


def rounds(size: int = 10_000, **options: object) -> Rounds:
    """Two users in four rounds whose counts are close to what the laws say."""
    counts = np.tile(np.rint(size / 8 * np.array([[1.5], [0.5]]) * SHARES).astype(np.int64), (4, 1, 1))
    return Rounds(counts, LAWS, **({"strata": "users", "resolution": "two users, three cells"} | options))  # pyright: ignore


def evidence(size: int = 10_000) -> Evidence:
    return replace(scored_evidence(size), rounds=rounds(size))


FULL = evidence()
POOL = Protocol("finite pool")


def again(given: Evidence, certificate: Certificate) -> float:
    """Sum the scores one by one, and put the formula together from the certificate's choices of rates."""
    table, laws, found = given.rounds.counts, given.rounds.laws, certificate.quantities
    size, (_, strata, cells) = int(table.sum()), table.shape
    level = [math.log(5 * strata * cells * 20) / table[:, s].sum() for s in range(strata)]

    def up(share: float, s: int) -> float:
        return share + 2 * level[s] / 3 + math.sqrt(4 * level[s] ** 2 / 9 + 2 * level[s] * share)

    total, heaviest, squares, rho, beta, spread = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for s in range(strata):
        raised = [up(laws[s, y], s) for y in range(cells)]
        weight = [value / sum(raised) for value in raised]
        sizes = [int(part.sum()) for part in table[:, s]]
        pairs = sum(sizes[k] * sum(sizes[:k]) for k in range(len(sizes)))
        omega = sum(sizes) / size
        later = [omega / pairs * sum(sizes[k + 1 :]) for k in range(len(sizes))]
        heaviest = max(heaviest, size * max(later))
        squares = max(squares, size * sum(n * r * r for n, r in zip(sizes, later, strict=True)) / omega)
        beta = max(beta, max(laws[s, y] / weight[y] for y in range(cells)))
        spread += omega**2 * cells / pairs
        rho = max(rho, max(up(table[:, s, y].sum() / sum(sizes), s) / weight[y] for y in range(cells)))
        for k in range(1, len(sizes)):
            earlier = table[:k, s].sum(axis=0)
            excess = [(earlier[y] - earlier.sum() * laws[s, y]) / weight[y] for y in range(cells)]
            centre = sum(laws[s, y] * excess[y] for y in range(cells))
            rate = size * found["t_1"]
            for y in range(cells):
                total -= table[k, s, y] * math.log(1 - rate * omega / pairs * (excess[y] - centre)) / rate
    assert math.isclose(total, found["S"], rel_tol=1e-6)
    assert math.isclose(squares, found["a_2"], rel_tol=1e-9)
    assert math.isclose(heaviest, found["b"], rel_tol=1e-9)
    assert math.isclose(rho, found["rho"], rel_tol=1e-9)
    assert math.isclose(beta, found["beta"], rel_tol=1e-9)
    # The rate is a power of two over the spread.
    factor = math.log2(size * found["t_1"] * math.sqrt(spread))
    assert math.isclose(factor, round(factor), abs_tol=1e-9)
    assert -5 <= round(factor) <= 2
    x = found["t_2"] * found["b"] * found["beta"]
    bend = (math.exp(x) - 1 - x) / x**2
    costs = math.log(8 * 50) / (size * found["t_1"]) + math.log(6 * 50) / (size * found["t_2"])
    return math.sqrt((found["S"] + costs) / (1 - found["t_2"] * bend * found["a_2"] * found["rho"])) / 2


def number(part: Rounds) -> float:
    """Return what the formula gives, also where it would say that an assumption cannot be true."""
    theorem, paid = CoincidenceTotalVariation(), Fraction(DELTA)
    found = coincidences(part, paid)
    shared: dict[str, Number] = {"N": part.size, "delta": paid, "d": 0.0, "a_2": found.squares}
    shared |= {"rho": found.rho, "beta": found.beta, "b": found.heaviest}
    points = [theorem.complete(shared | {"t_1": rate, "S": total}) for rate, total in found.scores]
    return min(theorem.formula.upper(**point) for point in points)


def replicates() -> Iterator[tuple[float, float]]:
    """Compare fits to one block with four blocks that they have not seen."""
    for blocks in block_fits():
        law = np.exp(blocks.log_laws[0])
        part = Rounds(blocks.counts[1:], law, "users", "every user over all cells")
        found = Evidence(blocks.truth.cells, INDEPENDENT, rounds=part)
        yield certified_value(CoincidenceTotalVariation(), found), blocks.distance(law, *range(1, len(blocks.counts)))


def laws_that_have_seen_the_rounds() -> Iterator[tuple[float, float]]:
    """Take for a law the shares of the cells in the very rounds that it is compared with: half of them never came."""
    rng, cells = np.random.default_rng(21), 1000
    for _ in range(100):
        counts = rng.multinomial(175, np.full(cells, 1 / cells), size=(4, 1))
        law = counts.sum(axis=0) / counts.sum()
        part = Rounds(counts, law, "users", "one user", untouched=False)
        yield number(part), np.abs(law - 1 / cells).sum() / 2


def users_who_always_do_the_same() -> Iterator[tuple[float, float]]:
    """Put many users with one sure cell each into a segment: nothing coincides, as if its law were flat."""
    rng, users = np.random.default_rng(22), 2000
    law = np.full((1, 2 * users), 0.5 / users)
    for _ in range(100):
        counts = np.zeros((4, 1, 2 * users), dtype=np.int64)
        counts[rng.permutation(users) % 4, 0, np.arange(users)] = 1
        part = Rounds(counts, law, "segments", "one segment")
        yield number(part), 0.5


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, Number]:
    """Draw a point where the laws' noise leaves some of the denominator, even if one of its factors doubles."""
    beta, heaviest, squares = draw(st.floats(0.1, 50)), draw(st.floats(1, 10)), draw(st.floats(1, 10))
    x = draw(st.floats(1e-3, 5))
    t2 = x / (beta * heaviest)
    bend = (math.expm1(x) - x) / x**2
    rho = draw(st.floats(1e-3, 0.45)) / (t2 * bend * squares)
    values: dict[str, Number] = {"beta": beta, "b": heaviest, "a_2": squares, "t_2": t2, "rho": rho}
    values |= {"S": draw(st.floats(0, 4)), "t_1": draw(st.floats(1e-6, 10)), "d": draw(st.floats(0, 1))}
    return values | {"N": draw(st.integers(2, 10**9)), "delta": draw(confidences)}


ROW = Row(
    theorem=CoincidenceTotalVariation(),
    inputs=inputs(),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, rounds=None), "no rounds were given"),
        (replace(FULL, rounds=rounds(untouched=False)), "made with interactions that it is compared with"),
        (replace(FULL, rounds=rounds(blind=False)), "with a look at the counted interactions"),
        (replace(FULL, protocol=Protocol("neither")), "neither independent draws nor a random subset"),
        (replace(FULL, protocol=POOL), "sizes of the pools are missing"),
        (replace(FULL, rounds=rounds(pool=np.full(2, 10**6))), "leave the pools out"),
        (replace(FULL, rounds=rounds(strata="segments")), "coincidences between users are too rare"),
    ),
    falls_in=("N", "delta"),
    rises_in=("S", "a_2", "rho", "d"),
    vanishing=(),
    replicates=replicates,
    unrefused={"A1": laws_that_have_seen_the_rounds, "A2": users_who_always_do_the_same},
)
