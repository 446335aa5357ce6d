"""Bounds of other people on the same weights, so that a reader sees where ours stand.

None of their values pays for norms that were read off the trained weights, as T1 and T2 do: they are printed as their
formulas give them, in their favour.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence import References, Scored
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.geometry import RADIUS, Network, code_cap
from conv4rec_bounds.literature.bartlett import bartlett_formula
from conv4rec_bounds.literature.chain import COPIES, DISTANCE, FROBENIUS, SIZE, SPECTRAL, Norms, live_layers, loss_range
from conv4rec_bounds.literature.graf import graf_norms_formula, graf_parameters_formula
from conv4rec_bounds.literature.ledent import ledent_formula
from conv4rec_bounds.literature.zhang_dudley import zhang_dudley_formula
from conv4rec_bounds.rounding import Number, ceil_float

__all__ = ["LITERATURE", "Published", "literature_bounds"]


@dataclass(frozen=True)
class Published:
    """One published bound: a short name, where it stands, and its formula for the layers that a network has."""

    name: str
    source: str
    formula: Callable[[tuple[str, ...]], Formula]


LITERATURE = (
    Published("covering, full matrices", "Bartlett, Foster and Telgarsky 2017, Theorem 3.3", bartlett_formula),
    Published("covering, shared filters", "Graf et al. 2022, Theorem 3.5, norms", graf_norms_formula),
    Published("parameters, norms in logarithms", "Graf et al. 2022, Theorem 3.5, parameters", graf_parameters_formula),
    Published("sup-norm covering, shared filters", "Ledent et al. 2021, Theorem 11", ledent_formula),
    Published("sup-norm covering, fixed profiles", "Zhang 2002, Theorem 4, with Dudley", zhang_dudley_formula),
)


def literature_bounds(
    network: Network, scored: Scored, delta: float, *, references: References | None = None, cells: int | None = None
) -> list[dict[str, Any]]:
    r"""Return one row for each published bound on the risk: name, source, value, deviation and Rademacher term.

    Values are upper ends in nats. They hold with probability :math:`1-\delta` for norms that were fixed beforehand, for
    scored interactions that are independent given their users, and for fixed profiles; nothing is paid for norms.
    Layers of norm 0, and those that only reach the logits through one, are left out.

    Parameters
    ----------
    network, scored, delta
        The weights, the scored part with its size, users and mean loss, and the failure probability of each bound.
    references
        Weights from which distances are measured; zero where there are none.
    cells
        The largest number of unmasked cells of a user; all cells of the network unless it is given.

    Raises
    ------
    RefusedError
        If the network has hidden layers, its loss has no range, or ``delta`` is no failure probability.

    Examples
    --------
    >>> import numpy as np
    >>> ones = dict(lift=np.ones((2, 1)), encode=np.ones((1, 3, 1)), decode=np.ones((1, 3, 1)),
    ...             project=np.ones((1, 2)), cell_bias=np.eye(3)[:, :2])
    >>> for row in literature_bounds(Network(ones, "identity", "tanh"), Scored(10**6, 1.5, users=100), 0.05):
    ...     print(row["source"], round(row["deviation"], 1))
    Bartlett, Foster and Telgarsky 2017, Theorem 3.3 81.7
    Graf et al. 2022, Theorem 3.5, norms 99.5
    Graf et al. 2022, Theorem 3.5, parameters 1.7
    Ledent et al. 2021, Theorem 11 8999.0
    Zhang 2002, Theorem 4, with Dudley 467.5
    """
    if not 0 < delta < 1:
        raise RefusedError(f"delta is {delta}; expected a failure probability strictly between 0 and 1, such as 0.05")
    cells = network.cells if cells is None else cells
    measured = Norms.of(network, references)
    length = loss_range(network, measured, cells)
    if not length > 0:
        raise RefusedError("the loss has no range: every network of these norms has the same losses; nothing to bound")
    present = live_layers(measured)
    known = _inputs(network, measured, scored, cells, present) | {"M": length, "delta": delta, "Lhat": scored.risk}
    rows = []
    for published in LITERATURE:
        formula = published.formula(present)
        balls = formula.enclose(**{symbol: known[symbol] for symbol in formula.inputs})
        value = ceil_float(balls["value"])
        rows.append(
            {
                "name": published.name,
                "source": published.source,
                "value": value,
                "deviation": ceil_float(balls["value"] - scored.risk),
                "rademacher": ceil_float(balls["Rad"]),
                "range": length,
            }
        )
    return rows


def _inputs(
    network: Network, measured: Norms, scored: Scored, cells: int, present: tuple[str, ...]
) -> dict[str, Number]:
    """Return the values of all symbols that some formula uses."""
    items, levels = network.weights["cell_bias"].shape
    channels, code = network.weights["project"].shape[0], network.weights["decode"].shape[2]
    values: dict[str, Number] = {"N": scored.size, "n": items, "R": levels, "C": channels, "k": code}
    values |= {"u": scored.size if scored.users is None else scored.users, "q": cells}
    values[str(code_cap)] = network.code_cap
    for name in present:
        values[str(SPECTRAL[name])] = measured.spectral[name]
        values[str(DISTANCE[name])] = measured.two_one[name]
        values[str(FROBENIUS[name])] = measured.frobenius[name]
        values[str(RADIUS[name])] = measured.radii[name]
        values[str(SIZE[name])] = network.parameters(name)
    for name, copies in COPIES.items():
        values[str(copies)] = channels // network.weights[name].shape[0]
    sizes = {"W": max(items * levels, items * channels, channels * code)}
    return values | sizes | {"p_max": max(network.parameters(name) for name in present)}
