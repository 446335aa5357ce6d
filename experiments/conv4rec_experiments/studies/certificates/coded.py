"""T8-code: files that say how far the fit has moved from the first half's, scored on the second half."""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds import Budget, Compressed, Evidence
from conv4rec_bounds.loss import DEFAULT_SMOOTHING
from conv4rec_experiments.codes.streams import LARGEST, Reader, Writer, code_integers
from conv4rec_experiments.studies.certificates.held_out import MOST_SCORED, subset
from conv4rec_experiments.studies.certificates.replicate import Replicate
from conv4rec_experiments.studies.certificates.statement import BY_NUMBER, Statements, answer
from conv4rec_experiments.truths.truth import user_mix

__all__ = ["compressed_risk", "decoded", "encoded"]

Array = NDArray[np.float64]

STEPS = tuple(2.0**-power for power in range(-2, 6))
LAYER = "weights"


def encoded(moves: Array, place: int) -> tuple[bytes, dict[str, int]]:
    """Write moves of weights, rounded to multiples of the step at a place in `STEPS`; return the file and its bits."""
    writer = Writer()
    writer.code(place, [1] * len(STEPS), "step")
    code_integers(writer, np.round(moves / STEPS[place]).clip(-LARGEST, LARGEST).astype(np.int64), LAYER)
    return writer.pack()


def decoded(data: bytes, size: int) -> Array:
    """Return the moves of so many weights that a file holds.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    reader = Reader(data)
    step = STEPS[reader.code(0, [1] * len(STEPS), "step")]
    whole = code_integers(reader, np.zeros(size, dtype=np.int64), LAYER)
    reader.end()
    return step * whole.astype(np.float64)


def compressed_risk(replicate: Replicate, delta: float) -> Statements:
    """T8-code: risk of the decoded network under the users of at most 20,000 interactions of the last block.

    The decoder knows the first half's fit. A file holds one Fisher step on the last block from there, rounded; the
    certificates of all steps of the rounding, and of no move at all, are compared.
    """

    def make() -> tuple[Evidence, float]:
        cells = replicate.truth.cells
        part = subset(replicate.last, min(MOST_SCORED, int(replicate.last.sum())), replicate.coins("T8-code"))
        if replicate.refits is None:
            # Networks that read the sample have no first half; the theorem refuses.
            return _evidence(replicate, part, replicate.log_law, *encoded(np.zeros(1), 0)), math.nan
        before, step = replicate.refits.before, replicate.refits.step
        files = [encoded(0 * step, 0), *(encoded(step, place) for place in range(len(STEPS)))]
        laws = [replicate.likelihood.log_law(before + decoded(data, step.size)) for data, _ in files]
        found = [_evidence(replicate, part, law, *file) for law, file in zip(laws, files, strict=True)]
        best = int(np.argmin([_promised(evidence, delta) for evidence in found]))
        smoothed = np.log((1 - DEFAULT_SMOOTHING) * np.exp(laws[best]) + DEFAULT_SMOOTHING / cells)
        return found[best], replicate.risk(smoothed, user_mix(part))

    yield answer("T8-code", delta, make)


def _evidence(
    replicate: Replicate, part: NDArray[np.int64], log_law: Array, data: bytes, bits: dict[str, int]
) -> Evidence:
    cells = replicate.truth.cells
    listed = np.repeat(log_law.reshape(-1), part.reshape(-1))
    file = Compressed(
        listed,
        np.full(listed.size, cells),
        DEFAULT_SMOOTHING,
        len(data),
        bits,
        math.log(cells),
        blind_decoder=replicate.refits is not None,
    )
    return Evidence(cells=cells, protocol=replicate.declared, compressed=file)


def _promised(evidence: Evidence, delta: float) -> float:
    value = BY_NUMBER["T8-code"].evaluate(evidence, Fraction(delta), Budget(delta)).value
    return math.inf if value is None else value
