"""T10."""

from hypothesis import strategies as st

from conv4rec_bounds import Certificate, Evidence, GemPool, Protocol
from conv4rec_bounds.theorems.t10_what_tv_buys import WhatTotalVariationBuys
from theorem_rows.common import CELLS
from theorem_rows.row import Row

PROTOCOL = Protocol("independent")


def evidence(size: int) -> Evidence:
    """Return a total variation that falls like the root of the size, levels and a pool."""
    return Evidence(
        cells=CELLS,
        protocol=PROTOCOL,
        level_values=(1.0, 2.0, 5.0),
        gem_pool=GemPool(mass=0.25, high=0.2, users="scored"),
        total_variation=size**-0.5,
        total_variation_users="scored",
    )


def again(given: Evidence, certificate: Certificate) -> float:
    distance = given.total_variation
    wanted = {
        "implicit": distance,
        "explicit": 1 - (1 - distance) ** 2,
        "regret": 2 * distance,
        "level error": 4 * (1 - (1 - distance) ** 2),
        "hidden gems, lower end": 0.2 / 0.25 - distance / 0.25,
    }
    assert set(certificate.quantities) == set(wanted)
    for name, value in wanted.items():
        assert abs(certificate.quantities[name] - value) <= 1e-12
    return 2 * distance - distance**2


ROW = Row(
    theorem=WhatTotalVariationBuys(),
    inputs=st.builds(lambda distance: {"tau": distance}, st.floats(0, 2)),
    evidence=evidence,
    again=again,
    broken=((Evidence(cells=CELLS, protocol=PROTOCOL), "no total variation of the model"),),
    falls_in=(),
    rises_in=("tau",),
    instead="bounds/test_t10.py::test_step_2_no_law_is_further_and_some_come_as_far_as_one_likes",
)
