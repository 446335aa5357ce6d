"""Weights that were made elsewhere: files of arrays, and a map from their names to the layers of the network."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conv4rec.errors import InputError
from conv4rec_bounds import Network
from conv4rec_bounds.geometry import LAYERS

__all__ = ["read_arrays", "read_network"]

Arrays = Mapping[str, NDArray[np.generic]]


def read_network(
    path: str | PathLike[str], names: Mapping[str, str], *, activations: Sequence[str], transposed: Sequence[str] = ()
) -> Network:
    """Read a network from a file of arrays that have other names, and maybe their axes in another order.

    Trailing axes of length one, as 1x1 convolutions have them, are dropped; a channel or level axis that is missing is
    added with length one. A model of one level and one channel needs neither lift nor project, which are then the
    number 1, and where no cell bias is named it is zero.

    Parameters
    ----------
    path
        A ``.npz`` or ``.safetensors`` file.
    names
        For each layer (lift, encode, code_bias, decode, project, offset, cell_bias), the name of its array.
    activations
        After lift, after encode and, as a third where there is one, after decode: ``"identity"``, ``"relu"``,
        ``"tanh"`` or ``"asinh"``.
    transposed
        Layers whose last two axes come in the other order, such as an encode of shape (code, item).

    Raises
    ------
    InputError
        If the file cannot be read, a layer is unknown, missing or has the wrong number of axes, or the activations are
        not two or three.
    RefusedError
        If the shapes do not fit together or weights are not finite.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/model.npz", V=np.ones((2, 4)), W=np.ones((4, 2)))
    ...     names = {"encode": "V", "decode": "W"}
    ...     given = {"activations": ("identity", "tanh"), "transposed": ["encode"]}
    ...     network = read_network(f"{folder}/model.npz", names, **given)
    >>> network.weights["encode"].shape, network.cells
    ((1, 4, 2), 4)
    """
    if len(activations) not in (2, 3):
        raise InputError(
            "weights need the activations after lift, after encode and, if there is one, after decode, such as "
            f"identity,tanh or identity,tanh,asinh; given: {', '.join(activations) or 'none'}."
        )
    arrays = read_arrays(path)
    for name in (*names, *transposed):
        if name not in LAYERS:
            raise InputError(f"there is no layer {name!r}; expected some of {', '.join(LAYERS)}.")
    for layer, name in names.items():
        if name not in arrays:
            raise InputError(f"{path} has no array {name!r} for {layer}; it holds {_listed(arrays)}.")
    missing = [layer for layer in LAYERS if layer not in names and layer in ("encode", "decode")]
    if ("lift" in names) != ("project" in names):
        missing.append("project" if "lift" in names else "lift")
    if missing:
        raise InputError(
            f"no array is named for {' and '.join(missing)}; name them as in encode=ARRAY (lift and project may both "
            f"be left out if there is one level and one channel); {path} holds {_listed(arrays)}."
        )
    if idle := [layer for layer in transposed if layer not in names]:
        raise InputError(f"{idle[0]} is to be transposed, but no array is named for it; name one or leave it out.")
    weights = {layer: _shaped(layer, arrays[name], layer in transposed, path) for layer, name in names.items()}
    one = np.ones((1, 1))
    weights = {"lift": one, "project": one} | weights
    weights = {"cell_bias": np.zeros((weights["decode"].shape[1], weights["project"].shape[1]))} | weights
    return Network(weights, *activations)


def read_arrays(path: str | PathLike[str]) -> dict[str, NDArray[np.generic]]:
    """Read all arrays of a ``.npz`` or ``.safetensors`` file; nothing that the file holds is executed.

    Raises
    ------
    InputError
        If the file has another suffix, is damaged, or holds types that numpy has no numbers for.
    """
    path = Path(path)
    match path.suffix:
        case ".npz":
            try:
                with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as archive:
                    return dict(archive)
            except (ValueError, EOFError, zipfile.BadZipFile) as error:
                what = "it is damaged, or holds objects that are no arrays of numbers"
                raise _unreadable(path, what, "what numpy.savez writes of plain arrays") from error
        case ".safetensors":
            from safetensors import SafetensorError
            from safetensors.numpy import load

            try:
                return dict(load(path.read_bytes()))
            except (SafetensorError, TypeError, KeyError, AttributeError) as error:
                raise _unreadable(path, str(error), "arrays of float16, float32, float64 or integers") from error
    raise InputError(
        f"{path} has the suffix {path.suffix!r}; expected .npz or .safetensors: export the weights to one."
    )


def _shaped(layer: str, array: NDArray[np.generic], transposed: bool, path: str | PathLike[str]) -> NDArray[np.float64]:
    """Return an array with the axes of its layer."""
    axes, shape = LAYERS[layer].axes, array.shape
    while array.ndim > len(axes) and array.shape[-1] == 1:
        array = array[..., 0]
    if transposed and array.ndim >= 2:
        array = array.swapaxes(-1, -2)
    if array.ndim == len(axes) - 1:
        array = array[..., None] if layer in ("lift", "cell_bias") else array[None]
    if array.ndim != len(axes):
        raise InputError(
            f"the array for {layer} in {path} has shape {shape}; expected the axes ({', '.join(axes)}), of which a "
            "single channel or level may be left out."
        )
    if array.dtype.kind not in "fiu":
        raise InputError(f"the array for {layer} in {path} holds {array.dtype}; expected real numbers.")
    return array.astype(np.float64)


def _listed(arrays: Arrays) -> str:
    return ", ".join(f"{name} {array.shape}" for name, array in sorted(arrays.items())) or "no arrays"


def _unreadable(path: Path, what: str, expected: str) -> InputError:
    return InputError(f"{path} cannot be read ({what}); expected {expected}.")
