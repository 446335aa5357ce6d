"""Models on disk: a directory of plain files; reading one never executes anything that it holds."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from safetensors import SafetensorError
from safetensors.numpy import load, save

from conv4rec.errors import InputError
from conv4rec.interactions import Interactions
from conv4rec.network import Architecture
from conv4rec.options import TrainingOptions
from conv4rec.splits import Split

__all__ = ["StoredModel", "load_model", "save_model"]

FORMAT = "conv4rec model"
VERSION = 3
DESCRIPTION = "model.json"
ARRAYS = "model.safetensors"
TABLES = {"user_ids": "users.parquet", "item_ids": "items.parquet"}
OBSERVED = ("user", "item", "level", "time")


@dataclass(frozen=True)
class StoredModel:
    """What a directory holds: sizes, options, weights, the split with its data, and the losses of each epoch."""

    architecture: Architecture
    options: TrainingOptions
    weights: dict[str, npt.NDArray[np.floating]]
    split: Split
    history: list[dict[str, Any]]


def save_model(
    path: Path,
    architecture: Architecture,
    options: TrainingOptions,
    weights: Mapping[str, npt.NDArray[np.floating]],
    split: Split,
    history: list[dict[str, Any]],
) -> None:
    """Write a model and the split that it was trained on into a directory, the description last.

    `model.safetensors` holds weights and interactions as codes, `users.parquet` and `items.parquet` the identifiers,
    and `model.json` in plain text all else, with a format version and the digest of every file.

    Raises
    ------
    InputError
        If the directory cannot be written.
    """
    data = split.interactions
    arrays = {f"weights/{name}": value.astype(options.precision) for name, value in weights.items()}
    arrays |= {name: getattr(data, name) for name in OBSERVED if getattr(data, name) is not None}
    arrays["part"] = split.part
    contents = {ARRAYS: save({name: np.ascontiguousarray(value) for name, value in arrays.items()})}
    for name, file in TABLES.items():
        buffer = BytesIO()
        getattr(data, name).rename("id").to_frame().write_parquet(buffer)
        contents[file] = buffer.getvalue()
    description = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": asdict(architecture),
        "training": asdict(options),
        "trained_with": options.trained_with,
        "levels": list(data.levels),
        "merged": data.merged,
        "split": {"protocol": split.protocol, "seed": split.seed, "coin": split.coin, "counts": split.counts()},
        "files": {file: sha256(content).hexdigest() for file, content in contents.items()},
        "history": history,
    }
    contents[DESCRIPTION] = _text(description | {"digest": _digest(description)})
    try:
        path.mkdir(parents=True, exist_ok=True)
        for file, content in contents.items():
            part = path / f"{file}.part"
            part.write_bytes(content)
            os.replace(part, path / file)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); give another directory.") from error


def load_model(path: Path) -> StoredModel:
    """Read what `save_model` wrote.

    Raises
    ------
    InputError
        If a file is missing or damaged, or the format version is unknown.
    """
    text = _read(path / DESCRIPTION)
    try:
        description = json.loads(text)
        known = description["format"] == FORMAT and description["version"] == VERSION
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path / DESCRIPTION, error) from error
    if not known:
        raise InputError(
            f"{path / DESCRIPTION} has format {description['format']!r} version {description['version']!r}; this "
            f"program reads {FORMAT!r} version {VERSION}: use the program that wrote it, or train anew."
        )
    try:
        if description.pop("digest", None) != _digest(description):
            raise _damaged(path / DESCRIPTION, "it is not the file that was saved")
        files = {file: _checked(path / file, description["files"][file]) for file in (ARRAYS, *TABLES.values())}
        return _assemble(description, files)
    except (SafetensorError, pl.exceptions.PolarsError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise _damaged(path, error) from error


def _assemble(description: dict[str, Any], files: dict[str, bytes]) -> StoredModel:
    arrays = load(files[ARRAYS])
    ids = {name: pl.read_parquet(BytesIO(files[file]))["id"] for name, file in TABLES.items()}
    data = Interactions(
        arrays["user"],
        arrays["item"],
        arrays["level"],
        arrays.get("time"),
        ids["user_ids"].rename("user"),
        ids["item_ids"].rename("item"),
        levels=tuple(description["levels"]),
        merged=description["merged"],
    )
    drawn = description["split"]
    architecture = Architecture(**description["architecture"])
    weights = {name.removeprefix("weights/"): value for name, value in arrays.items() if name.startswith("weights/")}
    sizes = (architecture.n_items, architecture.n_levels)
    if sizes != (data.n_items, data.n_levels) or {k: v.shape for k, v in weights.items()} != architecture.shapes():
        raise ValueError("the sizes of the network differ from those of its weights or its data")
    return StoredModel(
        architecture,
        TrainingOptions(**description["training"]),
        weights,
        Split(data, arrays["part"], drawn["protocol"], drawn["seed"], drawn["coin"]),
        description["history"],
    )


def _text(description: Mapping[str, Any]) -> bytes:
    return json.dumps(description, indent=2, ensure_ascii=False).encode()


def _digest(description: Mapping[str, Any]) -> str:
    return sha256(_text(description)).hexdigest()


def _checked(path: Path, digest: str) -> bytes:
    content = _read(path)
    if sha256(content).hexdigest() != digest:
        raise _damaged(path, "it is not the file that was saved")
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); give a directory that a model was saved to."
        ) from error


def _damaged(path: Path, reason: Exception | str) -> InputError:
    return InputError(f"{path} is damaged ({reason}); save the model again.")
