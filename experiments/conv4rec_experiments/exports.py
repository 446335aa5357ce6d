"""The table of certificates as CSV, JSON and LaTeX; printed bounds are rounded to the safe side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conv4rec_experiments.files import write_csv, write_json, write_text
from conv4rec_experiments.formatting import bound, confidence, number

__all__ = ["escaped", "latex_table", "write_certificates"]

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "–": "--",
    **{letter: rf"\{letter}" for letter in "&%$#_{}"},
}
HEADINGS = ("Theorem", "Bounds", "Value", "Measured", "Trivial", "Status")


def write_certificates(
    rows: Sequence[Mapping[str, Any]], folder: Path, record: Mapping[str, Any] | None = None, *, delta: float
) -> list[Path]:
    """Write certificates as ``certificates.json``, ``.csv`` and ``.tex`` into a folder and return the paths.

    CSV and JSON hold every number in full; the LaTeX table rounds upper bounds up and lower bounds down. CSV has a
    column ``delta``, and the LaTeX table says with which confidence its bounds hold jointly.

    Parameters
    ----------
    rows
        At least one row, with the keys of `conv4rec_experiments.evaluation.Evaluation.certificate_rows`.
    folder
        Where to write; it is made if there is none.
    record
        What the JSON file holds, if it is to hold more than the rows.
    delta
        The failure probability that all rows share.

    Examples
    --------
    >>> import tempfile
    >>> row = dict(theorem="T9", target="risk (nats)", side="upper", status="valid", value=6.0552, trivial=6.4,
    ...            measured=None, reason="It is below.")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_certificates([row], Path(folder), delta=0.05)]
    ['certificates.json', 'certificates.csv', 'certificates.tex']
    """
    return [
        write_json(folder / "certificates.json", list(rows) if record is None else record),
        write_csv(folder / "certificates.csv", [{**row, "delta": delta} for row in rows]),
        write_text(folder / "certificates.tex", latex_table(rows, delta)),
    ]


def latex_table(rows: Sequence[Mapping[str, Any]], delta: float) -> str:
    r"""Return one tabular for the package booktabs; comments tell the joint confidence and the reason of each row.

    >>> row = dict(theorem="T9-lower", target="total variation", side="lower", status="valid", value=0.0416666,
    ...            trivial=0.0, measured=0.09, reason="It lies above 0.")
    >>> print(latex_table([row], 0.05))
    % all bounds hold jointly with confidence 95 %
    % needs \usepackage{booktabs}
    \begin{tabular}{llrrrl}
    \toprule
    Theorem & Bounds & Value & Measured & Trivial & Status \\
    \midrule
    % It lies above 0.
    T9-lower & total variation & $\ge$ 0.04166 & 0.09 & 0 & valid \\
    \bottomrule
    \end{tabular}
    <BLANKLINE>
    """
    lines = [
        f"% all bounds hold jointly with confidence {confidence(delta)}",
        r"% needs \usepackage{booktabs}",
        r"\begin{tabular}{llrrrl}",
        r"\toprule",
        " & ".join(HEADINGS) + r" \\",
        r"\midrule",
    ]
    for row in rows:
        cells = (
            row["theorem"],
            row["target"],
            bound(row),
            number(row["measured"]),
            number(row["trivial"]),
            row["status"],
        )
        # A comment ends with its line: a reason must not bring a line break of its own.
        lines.append(f"% {' '.join(str(row['reason']).split())}")
        lines.append(" & ".join(escaped(str(cell)) for cell in cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def escaped(text: str) -> str:
    r"""Return text as LaTeX prints it: characters with a meaning of their own are escaped.

    >>> print(escaped("50 % of A_1 & B ≤ {x}"))
    50 \% of A\_1 \& B $\le$ \{x\}
    """
    return "".join(SPECIAL.get(letter, letter) for letter in text)
