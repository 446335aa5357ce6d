"""The files in the folder of a run: a trained model with its data and its split, and what was said about it."""

from pathlib import Path

from conv4rec import InputError
from conv4rec_experiments.explaining.files import EXPLAINED
from conv4rec_experiments.parts import PARTS

__all__ = ["CHECKPOINT", "CODE", "EVALUATION", "GEMS", "MODEL", "PRIOR", "PRIOR_FILES", "SAID", "claim_folder"]

MODEL = "model.json"
CHECKPOINT = "training.safetensors"
PRIOR = "prior"
PRIOR_FILES = (f"{PRIOR}/{MODEL}", f"{PRIOR}/{CHECKPOINT}")
CODE = "code.bin"
REPORT = (
    "report.html",
    "losses.csv",
    PARTS,
    CODE,
    *(f"certificates.{suffix}" for suffix in ("csv", "json", "pdf", "png", "tex")),
)
GEMS = ("gems.csv", "gem_examples.csv", "gems.pdf", "gems.png")
EVALUATION = "evaluation"
EVALUATED = ("fits.json", "table.csv", "users.parquet", "reliability.pdf", "reliability.png")
SAID = (*REPORT, *GEMS, *EXPLAINED, *(f"{EVALUATION}/{name}" for name in EVALUATED))
"""All files that say something about a model, and nothing about other weights."""


def claim_folder(run: Path, *, resume: bool, force: bool) -> None:
    """Refuse a folder that already holds a training, unless it is to be continued or replaced.

    Raises
    ------
    InputError
        If the folder holds a model or a checkpoint and neither is said, or both are.
    """
    if resume and force:
        raise InputError("--resume continues a training and --force replaces it; give one of them.")
    if not (resume or force) and any((run / name).exists() for name in (MODEL, CHECKPOINT, *PRIOR_FILES)):
        raise InputError(
            f"{run} already holds a training; give --resume to continue it, --force to replace it, or another --out."
        )
