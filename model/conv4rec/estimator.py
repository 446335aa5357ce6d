"""The face of the model: fit, predict, recommend, save and load, with the identifiers of the data throughout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import asdict, replace
from math import prod
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import torch

from conv4rec.errors import InputError
from conv4rec.interactions import Interactions
from conv4rec.memory import available_memory, users_per_batch
from conv4rec.network import Activation, Architecture, Network
from conv4rec.options import TrainingOptions, choose_device
from conv4rec.popularity import Popularity
from conv4rec.predictions import Fitted, Predictions
from conv4rec.splits import Split, split_by_coin
from conv4rec.start import start_stream, start_weights
from conv4rec.storage import load_model, save_model
from conv4rec.training import train

__all__ = ["Conv4Rec"]


class Conv4Rec(Predictions):
    r"""Conv4Rec, an autoencoder with 1x1 convolutions over the levels, for implicit and explicit feedback at once.

    It models the law of a user's next interaction, :math:`P(j,r\mid i)`: one softmax over all cells (item, level),
    computed from the user's profile by the map of `conv4rec.network.Network`. Training minimises

    .. math:: -\frac1N\sum_{t=1}^N \big(u_{i_t}\log P(j_t\mid i_t) + e\log P(r_t\mid i_t,j_t)\big)
              + \frac{w}{2}\big(\|E\|^2+\|D\|^2\big) + \frac{b}{2}\|B-B_0\|^2

    over scored interactions, with :math:`e` = `explicit_weight`, :math:`w` = `weight_decay`, :math:`b` = `bias_decay`,
    :math:`B_0` the logits of the popularity model, from which the cell bias starts, and weights :math:`u_i` of users
    that follow from `balance`. By the chain rule the two logarithms sum to :math:`\log P(j,r\mid i)`: with both weights
    1 this is the exact joint cross-entropy.

    Parameters
    ----------
    channels, code : int
        Number of channels and size of the code in each.
    shared_maps : bool
        One encode map and one decode map for all channels, instead of one for each.
    level_offset : bool
        Let the code also shift the levels of all items of a user: some people are kinder than others.
    lift_activation, code_activation, decode_activation : {"identity", "tanh", "relu", "asinh"}
        Activations after lift, after encode and after decode.
    hidden : sequence of int
        Sizes of further layers on the code; certificates refuse a network that has any.
    epochs, patience : int
        Most epochs, and epochs without a better validation loss after which training ends.
    batch_users : int
        Users in a batch; fewer are taken when their logits would not fit in memory.
    learning_rate : float
        Step size of Adam.
    schedule : {"cosine", "constant"}
        Whether the step size falls along half a cosine, to 0 at the end of the last epoch, or stays.
    weight_decay, bias_decay : float
        Penalties on encode and decode, and on the distance of the cell bias from its start.
    explicit_weight : float
        What the level's part of the loss weighs beside the item's; above 0.
    balance : float
        From 0 to 1: at 0 the item losses of all interactions count alike, at 1 those of all users.
    profile_dropout : float
        Probability, from 0 to below 1, that an interaction is left out of a profile in training.
    redraw : bool
        Draw profile and scored anew in every epoch from both parts, for better recommendations; otherwise the
        split's own profile is read and its own scored part is scored.
    profile_shares : two floats
        Least and greatest share of a user's interactions that are read in a new draw.
    seed : int
        Seed of the start values, of training, and of the split if none is given. The same seed gives the same bits
        on the same CPU with the same number of threads; on CUDA sums are not ordered, and last digits may differ.
    device : str
        "auto" (CUDA where there is any), "cpu" or "cuda".
    precision : {"float32", "float64"}
        Numbers in training; predictions are always computed in float64.
    threads : int, optional
        CPU threads. By default they are chosen by size, because small models are slower on two threads than on one:
        one for each 2^18 logits of a batch. The setting is restored afterwards.

    Raises
    ------
    InputError
        If an argument is out of its range.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"user": [1, 1, 2, 2, 3, 3] * 5, "item": list("abcdef") * 5, "level": [1, 2, 3] * 10})
    >>> data = Interactions.from_frame(frame)
    >>> model = Conv4Rec(channels=2, code=3, epochs=2, device="cpu").fit(data, progress=False)
    >>> model.consumption([3, 1]).shape, model.trained_with
    ((2, 6), 'redrawn profiles')
    >>> model.predict_proba([2]).sum().round(12).item()
    1.0
    """

    def __init__(
        self,
        channels: int = Architecture.channels,
        code: int = Architecture.code,
        shared_maps: bool = Architecture.shared_maps,
        level_offset: bool = Architecture.level_offset,
        lift_activation: Activation = Architecture.lift_activation,
        code_activation: Activation = Architecture.code_activation,
        hidden: Sequence[int] = Architecture.hidden,
        *,
        decode_activation: Activation = Architecture.decode_activation,
        epochs: int = TrainingOptions.epochs,
        patience: int = TrainingOptions.patience,
        batch_users: int = TrainingOptions.batch_users,
        learning_rate: float = TrainingOptions.learning_rate,
        schedule: Literal["cosine", "constant"] = TrainingOptions.schedule,
        weight_decay: float = TrainingOptions.weight_decay,
        bias_decay: float = TrainingOptions.bias_decay,
        explicit_weight: float = TrainingOptions.explicit_weight,
        balance: float = TrainingOptions.balance,
        profile_dropout: float = TrainingOptions.profile_dropout,
        redraw: bool = TrainingOptions.redraw,
        profile_shares: Sequence[float] = TrainingOptions.profile_shares,
        seed: int = TrainingOptions.seed,
        device: str = TrainingOptions.device,
        precision: Literal["float32", "float64"] = TrainingOptions.precision,
        threads: int | None = TrainingOptions.threads,
    ) -> None:
        # One item and one level stand in until the data is known: the other sizes are checked here already.
        self._sizes = Architecture(
            n_items=1,
            n_levels=1,
            channels=channels,
            code=code,
            shared_maps=shared_maps,
            level_offset=level_offset,
            lift_activation=lift_activation,
            code_activation=code_activation,
            hidden=hidden,
            decode_activation=decode_activation,
        )
        self.options = TrainingOptions(
            epochs=epochs,
            patience=patience,
            batch_users=batch_users,
            learning_rate=learning_rate,
            schedule=schedule,
            weight_decay=weight_decay,
            bias_decay=bias_decay,
            explicit_weight=explicit_weight,
            balance=balance,
            profile_dropout=profile_dropout,
            redraw=redraw,
            profile_shares=profile_shares,
            seed=seed,
            device=device,
            precision=precision,
            threads=threads,
        )

    def fit(
        self,
        interactions: Interactions,
        split: Split | None = None,
        *,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
        on_epoch: Callable[[int], None] | None = None,
    ) -> Self:
        """Train on the profile, scored and validation parts of a split.

        Parameters
        ----------
        interactions : Interactions
            The data.
        split : Split, optional
            A split of these interactions; by default `split_by_coin` with the model's seed.
        checkpoint : path, optional
            Directory that receives the whole state of the training after every epoch.
        resume : bool
            Continue the training of which `checkpoint` holds the state, if it holds one.
        progress : bool
            Show a progress bar when standard error is a terminal.
        on_epoch : callable, optional
            Called with the number of each epoch that has ended.

        Raises
        ------
        InputError
            If the data are no `Interactions`, the split is of others, or training refuses (see
            `conv4rec.training.train`).
        """
        if not isinstance(interactions, Interactions):
            raise InputError(
                f"fit got a {type(interactions).__name__}, expected Interactions; use Interactions.from_frame(...) or "
                "read(...)."
            )
        if split is None:
            split = split_by_coin(interactions, seed=self.options.seed)
        elif split.interactions is not interactions:
            raise InputError("The split is of other interactions; fit with split.interactions and split.")
        if resume and checkpoint is None:
            raise InputError("resume needs the directory of a checkpoint; name it with checkpoint=.")
        size = replace(self._sizes, n_items=interactions.n_items, n_levels=interactions.n_levels)
        device = choose_device(self.options.device)
        batch_users = users_per_batch(
            self.options.batch_users,
            n_items=size.n_items,
            n_levels=size.n_levels,
            channels=size.channels,
            itemsize=self.options.dtype.itemsize,
            available=available_memory(device),
            weights=sum(prod(shape) for shape in size.shapes().values()),
        )
        network = Network(size, dtype=self.options.dtype)
        network.set_weights(
            start_weights(
                size,
                interactions.level_values,
                Popularity.fit(split).cell_logits,
                start_stream(self.options.seed),
            )
        )
        network.to(device)
        history = train(
            network,
            split,
            replace(self.options, batch_users=batch_users),
            checkpoint=None if checkpoint is None else Path(checkpoint) / "training.safetensors",
            resume=resume,
            progress=progress,
            on_epoch=on_epoch,
        )
        self._state = Fitted(network.double().requires_grad_(False), split, history)
        return self

    def with_weights(self, weights: Mapping[str, npt.NDArray[np.floating]]) -> Self:
        """Return a copy of the fitted model that predicts with other weights; the split and the history are shared.

        Raises
        ------
        InputError
            If the model is not fitted, or the arrays are not those of its architecture or not finite.

        Examples
        --------
        >>> import polars as pl
        >>> frame = pl.DataFrame({"user": [1, 1, 2, 2] * 5, "item": list("abcd") * 5})
        >>> data = Interactions.from_frame(frame, duplicates="keep")
        >>> model = Conv4Rec(channels=1, code=2, epochs=1, device="cpu").fit(data, progress=False)
        >>> zero = {name: 0 * value for name, value in model.weights().items()}
        >>> model.with_weights(zero).consumption([1]).round(2).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
        """
        state = self._fitted()
        network = Network(self.architecture, dtype=torch.float64)
        network.set_weights(weights)
        other = copy(self)
        device = state.network.cell_bias.device
        other._state = replace(state, network=network.to(device).requires_grad_(False))
        return other

    def save(self, path: str | Path) -> None:
        """Write the fitted model and its data into a directory; see `conv4rec.storage.save_model`.

        Raises
        ------
        InputError
            If the model is not fitted.
        """
        state = self._fitted()
        save_model(Path(path), self.architecture, self.options, self.weights(), state.split, state.history)

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto") -> Self:
        """Read a model that was saved; nothing in the files is executed.

        Raises
        ------
        InputError
            If a file is missing or damaged, or the format version is unknown.
        """
        stored = load_model(Path(path))
        arguments = asdict(stored.architecture) | asdict(stored.options) | {"device": device}
        model = cls(**{name: value for name, value in arguments.items() if name not in ("n_items", "n_levels")})
        network = Network(stored.architecture, dtype=torch.float64)
        network.set_weights(stored.weights)
        network.to(choose_device(device)).requires_grad_(False)
        model._state = Fitted(network, stored.split, stored.history)
        return model
