"""Models made elsewhere: certificates from a file of weights, or from a table of log-probabilities of any model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conv4rec_bounds import Evidence, Protocol, Report, Scored, UserMeans, certify
from conv4rec_bounds.loss import DEFAULT_SMOOTHING
from conv4rec_experiments.exports import write_certificates
from conv4rec_experiments.figures.certificates import draw_certificates
from conv4rec_experiments.files import write_text
from conv4rec_experiments.log_probability_tables import read_held_out, read_paired
from conv4rec_experiments.report.page import Page, render
from conv4rec_experiments.weight_files import read_network

if TYPE_CHECKING:
    from conv4rec_experiments.studies.receipt import Receipt

__all__ = ["certificate_rows", "certify_log_probabilities", "certify_weights", "write_report"]

UNDECLARED = Protocol("neither")
"""What a file tells about how its data came about: nothing, so that theorems that need more refuse by name."""

UNDECLARED_PROFILE = Protocol("neither", profile="self-reconstruction")
"""The same for weights, whose encoder may have read what it is scored on."""


def certify_weights(
    path: str | PathLike[str],
    names: Mapping[str, str],
    *,
    activations: tuple[str, str],
    transposed: Sequence[str] = (),
    protocol: Protocol = UNDECLARED_PROFILE,
    scored: Scored | None = None,
    user_means: UserMeans | None = None,
    cells: int | None = None,
    delta: float = 0.05,
) -> Report:
    """Certify a network whose weights are in a file, from its loss on a scored part that was measured elsewhere.

    Parameters
    ----------
    path, names, activations, transposed
        The file and how to read it (see `read_network`).
    protocol
        How profile and scored part came about: no file can tell, so by default nothing is declared and the theorems
        that need a declaration refuse by name.
    scored, user_means
        Size and mean losses of the scored part, by interaction and by user.
    cells
        The largest number of unmasked cells of a user; by default all, items times levels.
    delta
        The failure probability that all certificates share.

    Raises
    ------
    InputError
        If the file cannot be read so.
    RefusedError
        If the weights are none of such a network, or the losses are impossible.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/model.npz", V=np.ones((4, 1)), W=np.ones((4, 1)))
    ...     report = certify_weights(f"{folder}/model.npz", {"encode": "V", "decode": "W"},
    ...                              activations=("identity", "tanh"), protocol=Protocol("independent"),
    ...                              scored=Scored(size=10**6, risk=0.9))
    >>> report["T1"].status.value, 0.9 < report["T1"].value < 1.0
    ('valid', True)
    """
    network = read_network(path, names, activations=activations, transposed=transposed)
    evidence = Evidence(
        cells=network.cells if cells is None else cells,
        protocol=protocol,
        network=network,
        scored=scored,
        user_means=user_means,
    )
    return certify(evidence, delta)


def certify_log_probabilities(
    path: str | PathLike[str],
    *,
    against: str | PathLike[str] | None = None,
    protocol: Protocol = UNDECLARED,
    cells: int | None = None,
    pool: int | None = None,
    smoothing: float = DEFAULT_SMOOTHING,
    delta: float = 0.05,
) -> Report:
    r"""Certify any model from the log-probabilities that it gave to held-out interactions (T9, T9-pool, T9-paired).

    Parameters
    ----------
    path, cells, pool, smoothing
        The table and how to read it (see `conv4rec_experiments.log_probability_tables.read_held_out`).
    against
        A table of another model's log-probabilities of the same interactions, in the same order.
    protocol
        ``"independent"``: given the users, the interactions are independent draws; ``"finite pool"``: the (sampled)
        rows are a uniformly random proper subset of a pool. No table can tell, so by default nothing is declared.
    delta
        The failure probability that all certificates share.

    Raises
    ------
    InputError
        If a file cannot be read, its columns are missing or contradict what is declared, or two tables are not of the
        same interactions.
    RefusedError
        If a value is none that a model can give: above 0, NaN, fewer than one cell.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "table.csv")
    ...     _ = path.write_text("log_probability\n" + "-1.5\n" * 1_000)
    ...     report = certify_log_probabilities(path, protocol=Protocol("independent"), cells=90)
    >>> report["T9"].status.value, report["T9"].terms["held-out mean loss"] > 1.5
    ('valid', True)
    """
    finite_pool = protocol.sampling == "finite pool"
    part = read_held_out(path, cells=cells, finite_pool=finite_pool, pool=pool, smoothing=smoothing)
    pair = None if against is None else read_paired(path, against, part, cells=cells)
    evidence = Evidence(
        cells=int((part.cells if part.pool is None else part.pool).max()),
        protocol=protocol,
        held_out=replace(part, pool=None),
        pool_sample=part if finite_pool else None,
        paired=pair,
    )
    return certify(evidence, delta)


def certificate_rows(report: Report) -> list[dict[str, Any]]:
    """Return one flat row for each certificate; nothing that they bound is measured here."""
    return [row | {"measured": None, "measured_as": None} for row in report.rows()]


def write_report(
    report: Report, folder: Path, origin: Mapping[str, Any] | None = None, receipt: Receipt | None = None
) -> list[Path]:
    """Write the certificates of a report as page, JSON, CSV, LaTeX and figure into a folder; return their paths.

    Page and JSON file keep what is said about the origin, such as the file and what was declared; the page cites the
    receipt.
    """
    rows = certificate_rows(report)
    record = report.record() | {"origin": dict(origin or {})}
    page = Page("Certificates of a model made elsewhere", report, facts=_facts(origin or {}), receipt=receipt)
    return [
        write_text(folder / "report.html", render(page)),
        *write_certificates(rows, folder, record, delta=float(report.budget.total)),
        *draw_certificates(rows, folder / "certificates"),
    ]


def _facts(origin: Mapping[str, Any]) -> dict[str, str]:
    """Write what is said about the origin as names with their values; what was declared has several."""
    facts = {}
    for name, value in origin.items():
        several = isinstance(value, Mapping)
        facts[name] = ", ".join(f"{word}: {choice}" for word, choice in value.items()) if several else str(value)
    return facts
