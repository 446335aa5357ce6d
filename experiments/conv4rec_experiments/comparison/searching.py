"""A small search for options of Conv4Rec: on the validation part only, pruned, and continued where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import polars as pl
from safetensors import safe_open

from conv4rec import Conv4Rec, InputError, Part, Split
from conv4rec_experiments.comparison.comparing import claim
from conv4rec_experiments.comparison.merits import joint_criterion
from conv4rec_experiments.comparison.own import complete, fitted_conv4rec
from conv4rec_experiments.comparison.protocol import comparison_split, eligible, without_held_out
from conv4rec_experiments.comparison.scoring import score
from conv4rec_experiments.files import write_csv, write_json

if TYPE_CHECKING:
    import optuna

    from conv4rec import Interactions

__all__ = ["BEST", "Found", "search"]

BEST = "options.json"
STUDY = "search"
STARTUP = 5
WARM_UP = 3
FIGURES = ("NDCG@100", "RMSE", "level log-loss")
SEARCHED = (
    "channels",
    "code",
    "code_activation",
    "decode_activation",
    "learning_rate",
    "weight_decay",
    "bias_decay",
    "explicit_weight",
    "balance",
    "profile_dropout",
)


@dataclass(frozen=True)
class Found:
    """What a search has found.

    Attributes
    ----------
    options : dict
        Arguments of `conv4rec.Conv4Rec` with the least criterion.
    trials : polars.DataFrame
        A row for each trial: its state, criterion, validation figures and options.
    paths : list of Path
        What was written.
    """

    options: dict[str, Any]
    trials: pl.DataFrame
    paths: list[Path]


def suggested(trial: optuna.Trial, epochs: int) -> dict[str, Any]:
    """Draw options: sizes, activations, step size, penalties, weights and dropout; all else stays at its default."""
    return {
        "channels": trial.suggest_int("channels", 2, 8),
        "code": trial.suggest_int("code", 20, 500, log=True),
        "code_activation": trial.suggest_categorical("code_activation", ["relu", "tanh", "identity"]),
        "decode_activation": trial.suggest_categorical("decode_activation", ["asinh", "identity"]),
        "learning_rate": trial.suggest_float("learning_rate", 5e-4, 1e-2, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-5, 1e-2, log=True),
        "bias_decay": trial.suggest_float("bias_decay", 1e-5, 1e-1, log=True),
        "explicit_weight": trial.suggest_float("explicit_weight", 0.3, 10.0, log=True),
        "balance": trial.suggest_float("balance", 0.0, 1.0),
        "profile_dropout": trial.suggest_float("profile_dropout", 0.0, 0.5),
        "epochs": epochs,
    }


def defaults() -> dict[str, Any]:
    """Return the model's own defaults of what is searched for: the first trial."""
    found = complete({})
    return {name: found[name] for name in SEARCHED}


def search(
    interactions: Interactions,
    folder: Path,
    *,
    trials: int,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "auto",
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Found:
    """Try options until the folder holds so many finished trials, and write the best.

    Each trial is trained on the training part of `comparison_split` with this seed and measured on its validation part
    by `conv4rec_experiments.comparison.merits.joint_criterion`; the held-out part is taken away before anything begins.
    The first trial has the model's defaults. A trial whose validation loss after an epoch is above the median of
    the others at that epoch is stopped (optuna's median pruner), after 5 trials and 3 epochs.

    Parameters
    ----------
    interactions : Interactions
    folder : Path
        Keeps the journal of the trials, from which a search continues.
    trials : int
        How many, those included that the folder holds.
    seed : int
        Of the split, the trainings, and the draws of options.
    epochs : int, optional
        Most epochs of a trial; by default the model's.
    device : str
        "auto", "cpu" or "cuda".
    progress : callable
        Told what is being done, how many trials are finished, and of how many.

    Raises
    ------
    InputError
        If optuna is not installed, ``trials`` is below 1, the folder is of other data, or every trial was stopped.
    """
    try:
        import optuna
        from optuna.storages.journal import JournalFileBackend
    except ImportError as error:
        raise InputError("a search needs optuna; install it with: pip install 'conv4rec[search]'") from error

    if trials < 1:
        raise InputError(f"trials is {trials}; expected at least 1.")
    data = eligible(interactions)
    claim(folder, data, {"seed": seed})
    split = comparison_split(data, seed)
    training, inner = _training(split), without_held_out(split)
    most = complete({})["epochs"] if epochs is None else epochs
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=STUDY,
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(folder / "trials.journal"))),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=WARM_UP),
        load_if_exists=True,
    )
    begun = len(study.trials)
    # A sampler that was begun anew with the same seed would draw what it drew before.
    study.sampler = optuna.samplers.TPESampler(seed=seed + begun)
    if not begun:
        study.enqueue_trial(defaults())

    def objective(trial: optuna.Trial) -> float:
        options = suggested(trial, most)
        with TemporaryDirectory() as checkpoint:

            def on_epoch(epoch: int) -> None:
                trial.report(_validation_loss(Path(checkpoint)), epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned

            try:
                model = Conv4Rec(**options, seed=seed, device=device).fit(
                    training.interactions, training, checkpoint=checkpoint, progress=False, on_epoch=on_epoch
                )
            except InputError as error:
                # A step size that is too great is no better than one that is stopped.
                raise optuna.TrialPruned(str(error)) from error
        figures = score(fitted_conv4rec(model), inner).figures()
        trial.set_user_attr("figures", {name: figures[name] for name in FIGURES})
        trial.set_user_attr("options", options)
        return joint_criterion(figures)

    states = optuna.trial.TrialState
    finished = (states.COMPLETE, states.PRUNED)
    while (done := len(study.get_trials(deepcopy=False, states=finished))) < trials:
        progress(f"trial {done + 1}", done, trials)
        study.optimize(objective, n_trials=1)
    progress("finished", trials, trials)
    if not study.get_trials(deepcopy=False, states=(states.COMPLETE,)):
        raise InputError("every trial was stopped or failed; give more --trials.")
    best: dict[str, Any] = study.best_trial.user_attrs["options"]
    rows = [_row(each, each.state is states.COMPLETE) for each in study.get_trials(deepcopy=False, states=finished)]
    paths = [write_json(folder / BEST, best), write_csv(folder / "trials.csv", rows)]
    return Found(best, pl.DataFrame(rows, infer_schema_length=None), paths)


def _row(trial: optuna.trial.FrozenTrial, complete: bool) -> dict[str, Any]:
    """Tell of a trial what it reached and with what; one that was stopped has reached nothing."""
    found = trial.user_attrs.get("figures", {})
    told = {"trial": trial.number, "state": trial.state.name.lower(), "criterion": trial.value if complete else None}
    return told | {name: found.get(name) for name in FIGURES} | dict(trial.params)


def _training(split: Split) -> Split:
    """Take the held-out part away; the validation part stays what it is."""
    kept = split.part != Part.HELD_OUT
    return Split(split.interactions.subset(kept), split.part[kept], split.protocol, split.seed, split.coin)


def _validation_loss(checkpoint: Path) -> float:
    """Read the validation loss of the last epoch off the checkpoint of a training."""
    with safe_open(checkpoint / "training.safetensors", framework="np") as file:
        loss: float = json.loads(file.metadata()["training"])["history"][-1]["validation_joint"]
    return loss
