"""T1 to T4: the risk of the fit, and T4 of its decoder on frozen codes."""

from conv4rec_bounds import Evidence, Scored, UserMeans
from conv4rec_experiments.studies.certificates.replicate import Replicate, mean_loss
from conv4rec_experiments.studies.certificates.statement import Statements, answer

__all__ = ["frozen_codes", "new_users", "norms", "parameter_count", "scored_evidence"]


def scored_evidence(replicate: Replicate) -> Evidence:
    """Return the fit with its mean loss, and the truth's own, on the whole sample."""
    return Evidence(
        cells=replicate.truth.cells,
        protocol=replicate.declared,
        network=replicate.network,
        scored=Scored(
            replicate.size,
            mean_loss(replicate.total, replicate.log_law),
            truth_risk=replicate.truth_loss(replicate.total),
            users=int((replicate.mix > 0).sum()),
        ),
    )


def parameter_count(replicate: Replicate, delta: float) -> Statements:
    """T1: risk of the fit under the sample's user mix."""
    yield answer("T1", delta, lambda: (scored_evidence(replicate), replicate.risk(replicate.log_law, replicate.mix)))


def norms(replicate: Replicate, delta: float) -> Statements:
    """T2: the same risk by norms, no reference given."""
    yield answer("T2", delta, lambda: (scored_evidence(replicate), replicate.risk(replicate.log_law, replicate.mix)))


def new_users(replicate: Replicate, delta: float) -> Statements:
    r"""T3: every record read as a user of its own, drawn from :math:`\pi` with profile and one interaction.

    Under independent sampling these users are independent draws from one population, and their number is that of the
    records. The target is the risk under :math:`\pi`, every user counting once.
    """

    def make() -> tuple[Evidence, float]:
        evidence = Evidence(
            cells=replicate.truth.cells,
            protocol=replicate.declared,
            network=replicate.network,
            user_means=UserMeans(replicate.size, mean_loss(replicate.total, replicate.log_law)),
        )
        return evidence, replicate.risk(replicate.log_law, replicate.truth.pi)

    yield answer("T3", delta, make)


def frozen_codes(replicate: Replicate, delta: float) -> Statements:
    """T4: risk of further interactions of the same users, from the codes that they have."""
    yield answer("T4", delta, lambda: (scored_evidence(replicate), replicate.risk(replicate.log_law, replicate.mix)))
