"""What `prepare` made of a bundle, and of what it is true: `derived/backends.json`."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.components.core.manifest import write_json
from assay.serving.engine.backends.parity import Parity

if TYPE_CHECKING:
    from assay.serving.versions.bundle import Bundle

FOLDER, RECORD = "derived", "backends.json"
FILES = {
    ("ranker", "onnx-fp32"): "ranker.onnx",
    ("ranker", "onnx-int8"): "ranker.int8.onnx",
    ("encoder", "onnx-fp32"): "encoder.onnx",
}
"""{(part, backend): file}. There is no encoder in 8 bits: nobody measures what it would change."""
_MAKERS = ("torch", "transformers", "onnxscript", "tokenizers")
_EIGHT_BITS = ("avx2", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm")


@dataclass(frozen=True)
class Derived:
    """Files that were derived from a bundle, with what was found of them.

    Attributes:
        key: What files and findings hold for: sha256 of the parts, ONNX Runtime, kind of processor.
        made_with: What they were made and measured with: library versions, processor, canary set.
        files: {name: sha256} of the files beside the record.
        ranker: {backend: what the gate found}.
        encoder: The same.
        milliseconds: {backend: processor milliseconds a pair, or a text of a bi-encoder}, of those that may
            serve.
    """

    key: dict[str, Any]
    made_with: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)
    ranker: dict[str, Parity] = field(default_factory=dict)
    encoder: dict[str, Parity] = field(default_factory=dict)
    milliseconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, bundle: str | Path, sha256: Mapping[str, str]) -> Derived | None:
        """What there is for a bundle here and now; None where there is nothing, or it holds for another.

        Args:
            bundle: Its folder.
            sha256: Of its parts, as checked.
        """
        try:
            about = json.loads((Path(bundle) / FOLDER / RECORD).read_text())
            found = cls(
                about["key"],
                about["made_with"],
                about["files"],
                {name: Parity(**each) for name, each in about["ranker"].items()},
                {name: Parity(**each) for name, each in about["encoder"].items()},
                about["milliseconds"],
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        here = key_of(sha256)
        if found.key == here:
            return found
        if {**found.key, "processor": ""} != {**here, "processor": ""}:
            return None
        # In float32 another processor rounds otherwise; in 8 bits it may saturate, and is judged anew.
        return replace(found, ranker={k: each for k, each in found.ranker.items() if k != "onnx-int8"})

    def write(self, folder: str | Path) -> None:
        """Write the record beside the files."""
        write_json(Path(folder) / RECORD, asdict(self))


def key_of(sha256: Mapping[str, str]) -> dict[str, Any]:
    """What must be the same for derived files to be used.

    Args:
        sha256: Of a bundle's parts.
    """
    # Which instructions there are decides how 8-bit products are computed, and whether they saturate.
    flags = _processor().get("flags", _processor().get("features", "")).split()
    return {
        "sha256": dict(sorted(sha256.items())),
        "onnxruntime": _version("onnxruntime"),
        "processor": [platform.machine(), *sorted(set(flags) & set(_EIGHT_BITS))],
    }


def maker(bundle: Bundle) -> dict[str, Any]:
    """What deriving and measuring anew may find something else with.

    Args:
        bundle: Checked.
    """
    return {
        "processor": _processor().get("model name", platform.machine()),
        "canary": bundle.canary_sha256,
        "libraries": {name: _version(name) for name in _MAKERS},
    }


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> dict[str, str]:
    """The first processor, as Linux describes it."""
    try:
        first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return {}
    lines = (line.partition(":") for line in first.splitlines())
    return {name.strip().lower(): value.strip() for name, _, value in lines}
