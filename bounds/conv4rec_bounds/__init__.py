"""Generalization bounds for recommender autoencoders: evidence in, certificates out.

>>> import numpy as np
>>> evidence = Evidence(
...     cells=90,
...     protocol=Protocol("independent"),
...     held_out=HeldOut(np.log(np.full(10_000, 0.2)), np.full(10_000, 90), smoothing=0.01),
... )
>>> certify(evidence, delta=0.05)["T9"].status
<Status.VALID: 'valid'>
"""

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate, Status
from conv4rec_bounds.certify import Report, certify
from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence import (
    Against,
    BinnedEvents,
    CellCounts,
    Comparator,
    Compressed,
    Ensemble,
    Events,
    Evidence,
    GemCounts,
    GemPool,
    HeldOut,
    NamedLoss,
    NamedLosses,
    Paired,
    Posterior,
    Prequential,
    Protocol,
    References,
    Rounds,
    Scored,
    TimeOrdered,
    TruthLoss,
    Untouched,
    UserMeans,
    UserScores,
)
from conv4rec_bounds.geometry import Network
from conv4rec_bounds.running import RunningInterval, running_interval
from conv4rec_bounds.theorems import THEOREMS

__all__ = [
    "THEOREMS",
    "Against",
    "BinnedEvents",
    "Budget",
    "CellCounts",
    "Certificate",
    "Comparator",
    "Compressed",
    "Ensemble",
    "Events",
    "Evidence",
    "GemCounts",
    "GemPool",
    "HeldOut",
    "NamedLoss",
    "NamedLosses",
    "Network",
    "Paired",
    "Posterior",
    "Prequential",
    "Protocol",
    "References",
    "RefusedError",
    "Report",
    "Rounds",
    "RunningInterval",
    "Scored",
    "Status",
    "TimeOrdered",
    "TruthLoss",
    "Untouched",
    "UserMeans",
    "UserScores",
    "certify",
    "running_interval",
]
