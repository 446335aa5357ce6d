"""Models made elsewhere: certificates from a file of weights, or from a table of log-probabilities of any model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conv4rec.errors import InputError
from conv4rec_bounds import Evidence, Protocol, Report, Scored, UserMeans, certify
from conv4rec_bounds.loss import DEFAULT_SMOOTHING
from conv4rec_experiments.distances import Distances, interval
from conv4rec_experiments.exports import write_certificates
from conv4rec_experiments.figures.certificates import draw_certificates
from conv4rec_experiments.files import write_text
from conv4rec_experiments.judged_tables import read_events, read_losses, read_user_scores
from conv4rec_experiments.log_probability_tables import LOG_PROBABILITY, read_held_out, read_paired, read_table
from conv4rec_experiments.measured import Measured, measured_distance
from conv4rec_experiments.parts import write_parts
from conv4rec_experiments.report.page import Page, render
from conv4rec_experiments.weight_files import read_network

if TYPE_CHECKING:
    from conv4rec_experiments.studies.receipt import Receipt

__all__ = ["certificate_rows", "certify_log_probabilities", "certify_weights", "table_evidence", "write_report"]

UNDECLARED = Protocol("neither")
"""What a file tells about how its data came about: nothing, so that theorems that need more refuse by name."""

NO_DISTANCES = Distances({})

UNDECLARED_PROFILE = Protocol("neither", profile="self-reconstruction")
"""The same for weights, whose encoder may have read what it is scored on."""


def certify_weights(
    path: str | PathLike[str],
    names: Mapping[str, str],
    *,
    activations: Sequence[str],
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


def certify_log_probabilities(path: str | PathLike[str], *, delta: float = 0.05, **options: Any) -> Report:
    r"""Certify any model from what it said about held-out interactions (T9, T9-pool, T9-paired, T9-parts, ...).

    Parameters
    ----------
    path, options
        The table and how to read it (see `table_evidence`).
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
    return certify(table_evidence(path, **options), delta)


def table_evidence(
    path: str | PathLike[str] | None,
    *,
    against: str | PathLike[str] | None = None,
    protocol: Protocol = UNDECLARED,
    user_scores: str | PathLike[str] | None = None,
    whole_users: bool = False,
    cells: int | None = None,
    pool: int | None = None,
    smoothing: float = DEFAULT_SMOOTHING,
    levels: int | None = None,
    level_range: float | None = None,
) -> Evidence:
    r"""Read what any model said about held-out interactions, and the scores of users, as evidence.

    Parameters
    ----------
    path
        A table of held-out interactions (see `conv4rec_experiments.log_probability_tables.read_held_out`, and
        `conv4rec_experiments.judged_tables` for its further columns), or None.
    against
        A table of another model's log-probabilities of the same interactions, in the same order.
    protocol
        ``"independent"``: given the users, the interactions are independent draws; ``"finite pool"``: the (sampled)
        rows are a uniformly random proper subset of a pool. No table can tell, so by default nothing is declared.
    user_scores
        A table of the scores of users' held-out parts. Under the protocol ``"finite pool"`` they are declared random
        subsets of each user's own pool.
    whole_users
        Declares that nothing of these users made the model.
    cells, pool, smoothing, levels, level_range
        How to read the first table.

    Raises
    ------
    InputError
        If a file cannot be read, its columns are missing or contradict what is declared, or two tables are not of the
        same interactions.
    RefusedError
        If a value is none that a model can give.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     scores = Path(folder, "users.csv")
    ...     _ = scores.write_text("user,recall\n1,0.5\n2,0.25\n")
    ...     table_evidence(None, user_scores=scores).user_scores.size
    2
    """
    finite_pool = protocol.sampling == "finite pool"
    parts: dict[str, Any] = {}
    if path is None and against is not None:
        raise InputError(f"{against} came with no table of the model to compare it with; give both.")
    if path is not None:
        table = Path(path)
        losses = read_losses(
            table,
            levels=levels,
            level_range=level_range,
            cells=cells,
            finite_pool=finite_pool,
            pool=pool,
            smoothing=smoothing,
        )
        events = read_events(table, finite_pool=finite_pool, pool=pool)
        parts |= {"named_losses": losses, "binned_events": events}
        # A table without joint probabilities may still hold something else.
        if against is not None or (losses is None and events is None) or LOG_PROBABILITY in read_table(table).columns:
            part = read_held_out(table, cells=cells, finite_pool=finite_pool, pool=pool, smoothing=smoothing)
            parts |= {"held_out": replace(part, pool=None), "pool_sample": part if finite_pool else None}
            if against is not None:
                parts["paired"] = read_paired(table, against, part, cells=cells)
            cells = int((part.cells if part.pool is None else part.pool).max())
    if user_scores is not None:
        parts["user_scores"] = read_user_scores(user_scores, pools=finite_pool, whole_users=whole_users)
    return Evidence(cells=cells or 1, protocol=protocol, **parts)


def certificate_rows(report: Report, measured: Mapping[str, Measured] | None = None) -> list[dict[str, Any]]:
    """Return one flat row for each certificate, with what it bounds where that could be measured."""
    rows = []
    for row in report.rows():
        found = (measured or {}).get(str(row["theorem"]))
        rows.append(
            row
            | {
                "measured": None if found is None else found.value,
                "measured_as": None if found is None else found.meaning,
            }
        )
    return rows


def write_report(
    report: Report,
    folder: Path,
    origin: Mapping[str, Any] | None = None,
    receipt: Receipt | None = None,
    parts: Sequence[Mapping[str, Any]] = (),
    distances: Distances = NO_DISTANCES,
) -> list[Path]:
    """Write the certificates of a report as page, JSON, CSV, LaTeX and figure into a folder; return their paths.

    Page and JSON file keep what is said about the origin, such as the file and what was declared; the page cites the
    receipt. Rows of `conv4rec_experiments.parts.part_rows`, if there are any, have a table of their own, and so has an
    interval of distances (see `conv4rec_experiments.region_tables.compare_tables`).
    """
    measured = measured_distance(distances)
    intervals = [interval("the model", report, distances.at_most)] if distances.parts else []
    rows = certificate_rows(report, measured)
    record = report.record() | {"origin": dict(origin or {})}
    if parts:
        record["parts"] = list(parts)
    page = Page(
        "Certificates of a model made elsewhere",
        report,
        measured=measured,
        parts=parts,
        intervals=intervals,
        facts=_facts(origin or {}),
        receipt=receipt,
    )
    return [
        write_text(folder / "report.html", render(page)),
        *write_certificates(rows, folder, record, delta=float(report.budget.total)),
        *write_parts(parts, folder),
        *draw_certificates(rows, folder / "certificates"),
    ]


def _facts(origin: Mapping[str, Any]) -> dict[str, str]:
    """Write what is said about the origin as names with their values; files and what was declared are several."""
    facts = {}
    for name, value in origin.items():
        if isinstance(value, Mapping):
            facts[name] = ", ".join(f"{word}: {choice}" for word, choice in value.items())
        else:
            facts[name] = str(value) if isinstance(value, str) else ", ".join(map(str, value))
    return facts
