"""A thousand fits to samples of the small truth, from starts that do not know it: evidence for several theorems."""

from collections.abc import Iterator
from functools import cache

import numpy as np

from conv4rec_bounds import Comparator, Evidence, Network, Protocol, Scored
from conv4rec_bounds.divergences import total_variation
from conv4rec_experiments.studies.coverage import Replicates, fits
from conv4rec_experiments.truths import small_truth, user_mix
from theorem_rows.common import REPLICATES


@cache
def blind_fits() -> Replicates:
    return fits(small_truth(0), size=2000, replicates=REPLICATES, seed=1)


def fitted_evidence() -> Iterator[tuple[Evidence, float, float]]:
    """Yield, for every fit, its evidence, its exact risk and its exact total variation to the truth."""
    replicates = blind_fits()
    truth = replicates.truth
    log_truth = np.log(truth.law)
    oscillation = float((log_truth.max(axis=1) - log_truth.min(axis=1)).max()) * (1 + 1e-12)
    for index, (counts, fit) in enumerate(zip(replicates.counts, replicates.fits, strict=True)):
        log_law = truth.likelihood.log_law(fit.theta)
        size, mix = int(counts.sum()), user_mix(counts)
        own = truth.empirical_risk(counts)
        evidence = Evidence(
            cells=truth.cells,
            protocol=Protocol("independent"),
            network=Network(replicates.weights(index), truth.lift_activation, truth.code_activation),
            scored=Scored(
                size,
                -float((counts * log_law).sum()) / size,
                truth_risk=own,
                users=int((counts.sum(axis=1) > 0).sum()),
            ),
            comparator=Comparator(excess=0.0, oscillation=oscillation, risk=own),
        )
        exact_risk = -float(mix @ (truth.law * log_law).sum(axis=1))
        yield evidence, exact_risk, total_variation(truth.law, np.exp(log_law), mix)
