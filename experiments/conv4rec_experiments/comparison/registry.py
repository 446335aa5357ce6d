"""All systems of a comparison, by name."""

from __future__ import annotations

from importlib.util import find_spec

from conv4rec.errors import InputError
from conv4rec_experiments.comparison.own import OWN, complete, fit_conv4rec
from conv4rec_experiments.comparison.peers.ease import EASE_GRID, fit_ease
from conv4rec_experiments.comparison.peers.factors import (
    ALS_GRID,
    BIASED_GRID,
    MF_GRID,
    fit_als,
    fit_biased,
    fit_mf,
)
from conv4rec_experiments.comparison.peers.histogram import HISTOGRAM_GRID, fit_histogram
from conv4rec_experiments.comparison.peers.popularity import fit_popularity
from conv4rec_experiments.comparison.peers.two_models import fit_two_models
from conv4rec_experiments.comparison.peers.variational import VAE_GRID, fit_vae
from conv4rec_experiments.comparison.systems import Options, System

__all__ = ["PEERS", "chosen_systems"]

PEERS: dict[str, System] = {
    "popularity": System("popularity", fit_popularity, "NDCG@100"),
    "ease": System("EASE", fit_ease, "NDCG@100", EASE_GRID),
    "als": System("implicit ALS", fit_als, "NDCG@100", ALS_GRID, ("implicit",)),
    "vae": System("Mult-VAE", fit_vae, "NDCG@100", VAE_GRID, ("cornac",)),
    "mf": System("MF", fit_mf, "RMSE", MF_GRID, ("cornac",), rates=True),
    "biased": System("biased MF", fit_biased, "RMSE", BIASED_GRID, ("lenskit",), rates=True),
    "histogram": System("level histogram", fit_histogram, "level log-loss", HISTOGRAM_GRID, rates=True),
    "joint": System("EASE + biased MF", fit_two_models, "level log-loss", packages=("lenskit",), rates=True),
}
"""Peers by the name that the command line takes."""


def chosen_systems(
    peers: tuple[str, ...] | None, options: Options, *, n_levels: int
) -> tuple[tuple[System, ...], tuple[str, ...]]:
    """Return Conv4Rec with its options and the peers asked for, and sentences on those that are left out.

    Parameters
    ----------
    peers : tuple of str or None
        Names of `PEERS`; None asks for all.
    options : dict
        Arguments of `conv4rec.Conv4Rec`.
    n_levels : int
        Systems that rate are left out where there is a single level.

    Raises
    ------
    InputError
        If a name is unknown or given twice.

    Examples
    --------
    >>> systems, left_out = chosen_systems(("popularity", "histogram"), {}, n_levels=1)
    >>> [system.name for system in systems], left_out
    (['Conv4Rec', 'popularity'], ('level histogram is left out: there is a single level and nothing to rate.',))
    """
    asked = tuple(PEERS) if peers is None else peers
    unknown = [name for name in asked if name not in PEERS]
    if unknown or len(set(asked)) < len(asked):
        raise InputError(f"peers {', '.join(asked)} must be different names of: {', '.join(PEERS)}; correct them.")
    own = System(OWN, fit_conv4rec, "NDCG@100", (complete(options),))
    kept, sentences, missing = [own], [], []
    for name in asked:
        system = PEERS[name]
        lacking = [package for package in system.packages if find_spec(package) is None]
        if system.rates and n_levels == 1:
            sentences.append(f"{system.name} is left out: there is a single level and nothing to rate.")
        elif lacking:
            missing.append(system.name)
        else:
            kept.append(system)
    if missing:
        sentences.append(f"{', '.join(missing)}: not installed; add them with: pip install 'conv4rec[peers]'")
    return tuple(kept), tuple(sentences)
