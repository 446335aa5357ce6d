"""The table of all theorems: it drives `certify`, the tests, the docs and the figures."""

from conv4rec_bounds.theorems.base import Theorem
from conv4rec_bounds.theorems.t1_parameter_count import ParameterCount
from conv4rec_bounds.theorems.t2_norms import Norms
from conv4rec_bounds.theorems.t3_new_users import NewUsers
from conv4rec_bounds.theorems.t4_frozen_codes import FrozenCodes
from conv4rec_bounds.theorems.t5_oracle_inequality import OracleInequality
from conv4rec_bounds.theorems.t6_total_variation import FastTotalVariation
from conv4rec_bounds.theorems.t7a_point import PointTotalVariation
from conv4rec_bounds.theorems.t7b_prequential import PrequentialTotalVariation
from conv4rec_bounds.theorems.t7c_draws import DrawnTotalVariation
from conv4rec_bounds.theorems.t7d_transfer import TransferredTotalVariation
from conv4rec_bounds.theorems.t7e_truth_loss import TruthsLeastLoss
from conv4rec_bounds.theorems.t7f_coincidences import CoincidenceTotalVariation
from conv4rec_bounds.theorems.t8_code import CompressedRisk
from conv4rec_bounds.theorems.t8_pac_bayes import PacBayes
from conv4rec_bounds.theorems.t8_paired import PairedDraws
from conv4rec_bounds.theorems.t9_calibration import CalibrationError
from conv4rec_bounds.theorems.t9_finite_pool import HeldOutPool
from conv4rec_bounds.theorems.t9_gems import HiddenGems
from conv4rec_bounds.theorems.t9_held_out import HeldOutRisk
from conv4rec_bounds.theorems.t9_lower import TotalVariationLower
from conv4rec_bounds.theorems.t9_paired import PairedRisk
from conv4rec_bounds.theorems.t9_parts import HeldOutParts
from conv4rec_bounds.theorems.t9_sequence import RunningRisk
from conv4rec_bounds.theorems.t9_users import UserScoreMeans
from conv4rec_bounds.theorems.t10_what_tv_buys import WhatTotalVariationBuys
from conv4rec_bounds.theorems.t11_limits import Limits

__all__ = ["THEOREMS"]

THEOREMS: tuple[Theorem, ...] = (
    ParameterCount(),
    Norms(),
    NewUsers(),
    FrozenCodes(),
    OracleInequality(),
    FastTotalVariation(),
    PointTotalVariation(),
    PrequentialTotalVariation(),
    DrawnTotalVariation(),
    TransferredTotalVariation(),
    TruthsLeastLoss(),
    CoincidenceTotalVariation(),
    PacBayes(),
    PairedDraws(),
    CompressedRisk(),
    HeldOutRisk(),
    HeldOutPool(),
    PairedRisk(),
    RunningRisk(),
    TotalVariationLower(),
    HeldOutParts(),
    UserScoreMeans(),
    CalibrationError(),
    HiddenGems(),
    WhatTotalVariationBuys(),
    Limits(),
)
