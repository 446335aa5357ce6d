"""Certificates that hold several quantities, one row for each: losses of the parts, scores of users, calibration."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from conv4rec_bounds import Certificate, Evidence, Report
from conv4rec_experiments.files import write_csv

__all__ = ["PARTS", "part_rows", "write_parts"]

PARTS = "parts.csv"
LOWER_END = ", lower end"


def part_rows(
    report: Report, evidence: Evidence, measured: Mapping[str, Mapping[str, float]] | None = None
) -> list[dict[str, Any]]:
    """Return one flat row for each named quantity of T9-parts, T9-users and T9-calibration, as far as they have values.

    Parameters
    ----------
    report, evidence
        The certificates, and what they were made from.
    measured
        Exact values of what is bounded, by theorem and name, as far as they are known.

    Returns
    -------
    list
        Rows with ``theorem, part, unit, side, value, sample, measured, trivial``: ``sample`` is the mean or the error
        on the held-out interactions or users from which the bound starts.

    Examples
    --------
    >>> from conv4rec_bounds import Protocol, UserScores, certify
    >>> evidence = Evidence(9, Protocol("independent"), user_scores=UserScores({"hit": [1.0] * 40}))
    >>> (row,) = part_rows(certify(evidence), evidence)
    >>> row["part"], row["side"], round(row["sample"], 6), round(row["value"], 2)
    ('hit', 'lower', 1.0, 0.89)
    """
    found = measured or {}
    by_number = {certificate.theorem: certificate for certificate in report if certificate.value is not None}
    return [
        row | {"measured": found.get(row["theorem"], {}).get(row["part"])}
        for row in (*_losses(by_number, evidence), *_scores(by_number, evidence), *_errors(by_number, evidence))
    ]


def write_parts(rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write the rows as a table into the folder of a report; delete that of an earlier report if there are none.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = [path.name for path in write_parts([{"part": "explicit loss"}], Path(folder))]
    ...     first, write_parts([], Path(folder)), Path(folder, "parts.csv").exists()
    (['parts.csv'], [], False)
    """
    if rows:
        return [write_csv(folder / PARTS, rows)]
    (folder / PARTS).unlink(missing_ok=True)
    return []


def _losses(by_number: Mapping[str, Certificate], evidence: Evidence) -> Iterator[dict[str, Any]]:
    if (certificate := by_number.get("T9-parts")) and evidence.named_losses:
        for loss in evidence.named_losses.losses:
            sample = certificate.quantities[f"{loss.name}, sample mean"]
            yield _row(certificate, loss.name, loss.unit, "upper", sample, loss.trivial)


def _scores(by_number: Mapping[str, Certificate], evidence: Evidence) -> Iterator[dict[str, Any]]:
    if (certificate := by_number.get("T9-users")) and evidence.user_scores:
        for name in evidence.user_scores.scores:
            yield _row(
                certificate, name, "share", "lower", certificate.quantities[f"{name}, sample mean"], 0.0, LOWER_END
            )


def _errors(by_number: Mapping[str, Certificate], evidence: Evidence) -> Iterator[dict[str, Any]]:
    if (certificate := by_number.get("T9-calibration")) and evidence.binned_events:
        for name in evidence.binned_events.happened:
            sample = certificate.quantities[f"{name}, sample error"]
            yield _row(certificate, name, "share", "upper", sample, 1.0)
            yield _row(certificate, name, "share", "lower", sample, 0.0, LOWER_END)


def _row(
    certificate: Certificate, part: str, unit: str, side: str, sample: float, trivial: float, suffix: str = ""
) -> dict[str, Any]:
    value = certificate.quantities[part + suffix]
    row = {"theorem": certificate.theorem, "part": part, "unit": unit, "side": side, "value": value}
    return row | {"sample": sample, "measured": None, "trivial": trivial}
