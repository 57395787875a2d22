"""Which backend serves: what the environment names, or the fastest that passed the gate."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from assay.components.core.errors import BadInput
from assay.serving.engine.backends.derived import FILES, FOLDER, Derived
from assay.serving.engine.backends.network import Network, open_network
from assay.serving.settings import Settings

if TYPE_CHECKING:
    from assay.serving.versions.bundle import Bundle

NAMES = ("auto", "torch", "onnx", "onnx-int8")


@dataclass(frozen=True)
class BackendSettings(Settings):
    """How networks are computed.

    Attributes:
        name: `ASSAY_BACKEND_NAME`. `torch` is bfloat16 on CUDA and float32 on a processor, `onnx` and
            `onnx-int8` are on a processor, `auto` is torch where CUDA is, else the fastest that passed the
            gate.
    """

    PREFIX: ClassVar = "ASSAY_BACKEND_"

    name: str = "auto"

    def __post_init__(self):
        if self.name not in NAMES:
            raise BadInput(f"ASSAY_BACKEND_NAME is {self.name!r}: choose {', '.join(NAMES)}")


def has_cuda() -> bool:
    """Whether torch is here and sees a device."""
    try:
        # torch takes seconds to import, and a worker on ONNX needs it for nothing else: ask the driver first.
        ctypes.CDLL("libcuda.so.1")
        import torch
    except (OSError, ImportError):
        return False

    return torch.cuda.is_available()


def wanted(name: str, cuda: bool) -> tuple[str, ...]:
    """Backends of the ranker that `prepare` looks at for a setting.

    Args:
        name: One of `NAMES`.
        cuda: Whether there is a device.
    """
    if name == "torch" or (name == "auto" and cuda):
        return ("torch-bf16",) if cuda else ("torch-fp32",)
    return ("torch-fp32", "onnx-fp32", "onnx-int8")


def choice(name: str, derived: Derived | None, cuda: bool) -> dict[str, str]:
    """Backend of each part.

    Args:
        name: One of `NAMES`.
        derived: What was prepared; None where nothing was, and then only torch in float32 can serve.
        cuda: Whether there is a device.

    Returns:
        {"ranker": backend, "encoder": backend}.

    Raises:
        BadInput: What was named is not prepared, or the gate refused it.
    """
    found = {} if derived is None else derived.ranker
    if name.startswith("onnx"):
        backend = "onnx-int8" if name == "onnx-int8" else "onnx-fp32"
        if derived is None or backend not in found:
            raise BadInput(
                f"ASSAY_BACKEND_NAME={name}: nothing is prepared for it; run "
                "python -m assay.serving.engine.backends.prepare BUNDLE_FOLDER"
            )
        if found[backend].refused:
            raise BadInput(f"ASSAY_BACKEND_NAME={name} is refused for this version: {found[backend].refused}")
    else:
        fit = [each for each in wanted(name, cuda) if each in found and not found[each].refused]
        speed = {} if derived is None else derived.milliseconds
        backend = min(fit, key=lambda each: speed.get(each, float("inf")), default="torch-fp32")
    encoder = "torch-fp32"
    if backend.startswith("onnx") and derived is not None:
        judged = derived.encoder.get("onnx-fp32")
        encoder = "onnx-fp32" if judged is not None and not judged.refused else encoder
    return {"ranker": backend, "encoder": encoder}


def open_networks(bundle: Bundle, settings: BackendSettings) -> tuple[Network, Network]:
    """The networks of a checked bundle's ranker and encoder, by the backend that is to serve.

    Derived files are opened only where their sha256 is the one recorded.

    Args:
        bundle: It.
        settings: Of the environment.

    Raises:
        BadInput: The backend is refused or not prepared, a file is damaged, or this machine cannot run it.
    """
    derived = Derived.read(bundle.folder, bundle.sha256)
    chosen = choice(settings.name, derived, has_cuda())

    def opened(part: str, folder: Path, kind: str) -> Network:
        file = FILES.get((part, chosen[part]))
        if derived is None or file is None:
            return open_network(folder, kind, chosen[part])
        place = bundle.folder / FOLDER / file
        return open_network(folder, kind, chosen[part], place, derived.files[file])

    return opened("ranker", bundle.ranker, bundle.kind), opened("encoder", bundle.encoder, "encoder")
