"""The steps of other people's bounds that are derived again for this network."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import Network
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.geometry import ACTIVATIONS, LAYERS, logits
from conv4rec_bounds.literature.chain import DISTANCE, SPECTRAL, Norms, TwoThirds, euclidean_products
from conv4rec_bounds.literature.graf import PSI_MAX, HarmonicNumber
from conv4rec_bounds.loss import cross_entropy
from theorem_rows.common import network

EVERY = tuple(LAYERS)
CHAIN = Formula(value=sum(euclidean_products(EVERY).values()), where={})


def test_lemma_the_loss_is_root_two_lipschitz_in_the_euclidean_norm() -> None:
    rng = np.random.default_rng(0)
    best = 0.0
    for _ in range(2000):
        scale = 10 ** rng.uniform(-6, 2)
        z = rng.normal(size=int(rng.integers(2, 9))) * 10 ** rng.uniform(-3, 2)
        change = rng.normal(size=z.size) * scale
        gap = np.abs(cross_entropy(z) - cross_entropy(z + change)).max()
        assert gap <= math.sqrt(2) * np.linalg.norm(change) * (1 + 1e-9) + 1e-12
    for sharp in (1.0, 10.0, 40.0):
        z, change = np.array([sharp, 0.0]), 1e-3 * np.array([1.0, -1.0])
        best = max(best, (cross_entropy(z + change) - cross_entropy(z))[1] / np.linalg.norm(change))
    assert best >= 0.99 * math.sqrt(2)


@given(
    st.integers(0, 10**6),
    st.sampled_from([1e-6, 1e-2, 1.0]),
    st.sampled_from([0.1, 1.0, 5.0]),
    st.sampled_from(["relu", "tanh"]),
    st.sampled_from(list(ACTIVATIONS)),
)
def test_lemma_the_chain_bounds_how_far_logits_move(
    seed: int, size: float, scale: float, activation: str, decode: str
) -> None:
    """The products with the distance of two networks in place of the distance to the reference, but for a shift."""
    rng = np.random.default_rng(seed)
    shape = dict(zip(("item", "level", "channel", "code"), rng.integers(1, 5, size=4).tolist(), strict=True))
    first = Network(network(scale, seed, **shape).weights, "relu", activation, decode)
    moved = {name: array + size * rng.normal(size=array.shape) for name, array in first.weights.items()}
    second = Network(moved, "relu", activation, decode)
    both = [Norms.of(net) for net in (first, second)]
    distance = Norms.of(Network({n: first.weights[n] - moved[n] for n in moved}, "relu", activation)).two_one
    values = {str(SPECTRAL[name]): max(found.spectral[name] for found in both) for name in EVERY}
    values |= {str(DISTANCE[name]): distance[name] for name in EVERY} | {"n": shape["item"]}
    values["h_max"] = first.code_cap
    reach = CHAIN.number(**values)
    profile = (rng.random((shape["item"], shape["level"])) < 0.6).astype(float)
    difference = first.weights["cell_bias"] - moved["cell_bias"]
    change = logits(first, profile) - logits(second, profile) - np.median(difference)
    assert np.linalg.norm(change) <= reach * (1 + 1e-9) + 1e-12


@given(
    st.integers(0, 10**6),
    st.sampled_from([1e-6, 1e-2, 1.0]),
    st.sampled_from([0.1, 1.0, 5.0]),
    st.booleans(),
)
def test_lemma_one_map_for_all_channels_errs_with_the_root_of_their_number(
    seed: int, size: float, scale: float, shared: bool
) -> None:
    """Errors of single columns of encode, and of single patches of decode, put together as the covers put them."""
    rng = np.random.default_rng(seed)
    items, channels, code, levels = rng.integers(1, 5, size=4).tolist()
    maps = 1 if shared else channels
    lifted, project = rng.normal(size=(items, channels)), scale * rng.normal(size=(channels, levels))
    error = size * rng.normal(size=(maps, items, code))
    moved = np.einsum("jc,cjk->ck", lifted, np.broadcast_to(error, (channels, items, code)))
    columns = np.abs(moved).max(axis=0)[None] if shared else np.abs(moved)
    assert np.linalg.norm(moved) <= math.sqrt(channels / maps) * np.linalg.norm(columns) * (1 + 1e-12)
    codes = rng.normal(size=(channels, code))
    patches = np.einsum("cjk,ck->jc", np.broadcast_to(error, (channels, items, code)), codes)
    resolutions = np.abs(patches).max(axis=0) if not shared else np.array([np.abs(patches).max()])
    change = np.abs(patches @ project).max()
    bound = np.linalg.norm(project, axis=0).max() * math.sqrt(channels / maps) * np.linalg.norm(resolutions)
    assert change <= bound * (1 + 1e-12)


@given(st.lists(st.floats(1e-12, 1e12), min_size=1, max_size=6), st.floats(1e-6, 1e6))
def test_lemma_squared_resolutions_in_proportion_to_radii_add_the_radii(radii: list[float], resolution: float) -> None:
    """The covers of all maps cost together what one costs whose radius is the sum; no single ratio is larger."""
    total = math.fsum(radii)
    parts = [resolution * math.sqrt(radius / total) for radius in radii]
    assert math.hypot(*parts) == pytest.approx(resolution, rel=1e-9)
    squares = math.fsum((radius / part) ** 2 for radius, part in zip(radii, parts, strict=True))
    assert squares == pytest.approx((total / resolution) ** 2, rel=1e-9)
    assert max(r / part for r, part in zip(radii, parts, strict=True)) <= total / resolution * (1 + 1e-9)


@given(st.integers(1, 6), st.integers(0, 12))
def test_lemma_multisets_are_fewer_than_both_counts(atoms: int, drawn: int) -> None:
    """Of k draws from 2W atoms only the counts matter: at most (2W)^k and at most (1+k)^(2W)."""
    multisets = math.comb(2 * atoms + drawn - 1, drawn)
    assert multisets <= (2 * atoms) ** drawn
    assert multisets <= (1 + drawn) ** (2 * atoms)


@given(st.integers(2, 400))
def test_lemma_the_integral_of_the_ceiling_of_one_over_eps_is_a_harmonic_number(size: int) -> None:
    steps = sum(((m + 1) * (Fraction(1, m) - Fraction(1, m + 1)) for m in range(1, size)), start=Fraction(0))
    assert steps == sum((Fraction(1, m) for m in range(1, size)), start=Fraction(0))


@given(st.floats(1e-6, 1.0), st.lists(st.floats(0, 100), min_size=1, max_size=7))
def test_lemma_shares_of_the_resolution_give_the_cube(eps: float, constants: list[float]) -> None:
    """With shares ceil(C^(2/3))/T the ceilings of all layers are at most T^3 ceil(1/eps^2) together."""
    ceilings = [math.ceil(c ** (2 / 3)) for c in constants]
    total = sum(ceilings)
    counted = [
        math.ceil((c * total / (eps * share)) ** 2 * (1 - 1e-12)) if c else 0
        for c, share in zip(constants, ceilings, strict=True)
    ]
    assert sum(counted) <= total**3 * math.ceil(1 / eps**2)


def test_lemma_psi_stays_below_its_largest_value() -> None:
    """A sum of the first terms and a bound on the rest: log(m)/sqrt(m) falls, and its differences telescope."""
    last = 10**6
    m = np.arange(1, last)
    head = float((np.log(m + 1) * (m**-0.5 - (m + 1) ** -0.5)).sum())
    tail = math.log(last + 1) / math.sqrt(last) + 2 / math.sqrt(last)
    assert 2.15 < head < head + tail < 2.17 < PSI_MAX


@given(st.integers(0, 5000))
def test_harmonic_numbers_are_exact_sums_and_no_logarithms(size: int) -> None:
    exact = math.fsum(1 / i for i in range(1, size + 1))
    assert HarmonicNumber.fast(size) == pytest.approx(exact, abs=1e-12)
    if size:
        assert exact > math.log(size) + 0.5


@given(st.floats(0, 1e12))
def test_two_thirds_has_its_value_at_zero(x: float) -> None:
    assert TwoThirds.fast(x) == pytest.approx(x ** (2 / 3), rel=1e-12)
