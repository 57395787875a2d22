"""The bundle: one fixed model version in a folder, checked file by file before it is opened."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from assay.components.core import tracking
from assay.components.core.errors import BadInput
from assay.components.core.manifest import publishing, sha256_of, write_json

DESCRIPTION = "bundle.json"
PROBE = "probe.json"
"""Beside it: rows with the scores that they must get, written when the version was checked."""
LINEAGE = ("task", "metric", "run_hash", "data_sha256", "code", "verdict", "gate")
"""Tags of a version that go with its bundle."""
_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt", ".h5")


@dataclass(frozen=True)
class Bundle:
    """A model version in a folder: `bundle.json`, `ranker/`, `encoder/`, and `canary/` where it has one.

    Attributes:
        folder: Where it is.
        name: Registered model.
        version: Number of the version, as text.
        kind: `cross` or `bi`.
        sha256: Of each part: {"ranker": hex, "encoder": hex}.
        canary_sha256: Of the canary set; "" where there is none.
        lineage: What the registry says of it: those of `LINEAGE` that it has.
    """

    folder: Path
    name: str
    version: str
    kind: str
    sha256: dict[str, str] = field(hash=False)
    canary_sha256: str = ""
    lineage: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def ranker(self) -> Path:
        """Folder of the ranker."""
        return self.folder / "ranker"

    @property
    def encoder(self) -> Path:
        """Folder of the encoder."""
        return self.folder / "encoder"

    @property
    def canary(self) -> Path | None:
        """Folder of the canary set; None where there is none."""
        return self.folder / tracking.CANARY if self.canary_sha256 else None

    @classmethod
    def open(cls, folder: str | Path) -> Bundle:
        """Read a bundle and check that its weights are those that were registered.

        Raises:
            BadInput: It is no bundle, a part's sha256 is another, or its weights are not safetensors.
        """
        folder = Path(folder)
        try:
            about = json.loads((folder / DESCRIPTION).read_text())
            bundle = cls(
                folder,
                about["name"],
                about["version"],
                about["kind"],
                dict(about["sha256"]),
                # Absent from what an older release wrote.
                about.get("canary_sha256", ""),
                dict(about.get("lineage", {})),
            )
            expected = {part: bundle.sha256[part] for part in tracking.PARTS}
        except FileNotFoundError as error:
            raise BadInput(
                f"{folder} is no bundle: it holds no {DESCRIPTION}; `assay serve` makes one"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"{folder / DESCRIPTION} cannot be read ({error!r}): remove the folder, make it again"
            ) from error
        if bundle.canary_sha256:
            expected[tracking.CANARY] = bundle.canary_sha256
        for part, sha256 in expected.items():
            if part != tracking.CANARY:
                _refuse_pickles(folder / part)
            found = sha256_of(folder / part) if (folder / part).is_dir() else "none, for it is not there"
            if found != sha256:
                raise BadInput(
                    f"{bundle.name} version {bundle.version}: {part} in {folder} has sha256 {found}, "
                    f"registered was {sha256}: refused; remove the folder to have it fetched again"
                )
        return bundle


def write_bundle(
    folder: str | Path,
    name: str,
    version: str,
    ranker: str | Path,
    encoder: str | Path,
    canary: str | Path | None = None,
    lineage: Mapping[str, str] | None = None,
) -> Bundle:
    """Write a bundle from folders; it exists whole or not at all.

    Args:
        folder: Where; replaced if it exists.
        name: Registered model.
        version: Number of the version.
        ranker: Folder that `Ranker.save` wrote.
        encoder: Folder that `TextEncoder.save` wrote.
        canary: Folder that `register` wrote, or None.
        lineage: What the registry says of the version.

    Raises:
        BadInput: A part holds pickled weights, or no safetensors.
    """
    sources = {"ranker": Path(ranker), "encoder": Path(encoder)}
    for source in sources.values():
        _refuse_pickles(source)
    kind = json.loads((sources["ranker"] / "ranker.json").read_text())["kind"]
    with publishing(folder, step="bundle") as (beside, _):
        for part, source in sources.items():
            shutil.copytree(source, beside / part)
        sha256 = {part: sha256_of(beside / part) for part in tracking.PARTS}
        if canary is not None:
            shutil.copytree(canary, beside / tracking.CANARY)
        checked = sha256_of(beside / tracking.CANARY) if canary is not None else ""
        bundle = Bundle(Path(folder), name, str(version), kind, sha256, checked, dict(lineage or {}))
        _describe(bundle, beside)
    return bundle


def make_bundle(name: str, version: str | None, folder: str | Path) -> Bundle:
    """A registered version as a bundle: the one in the folder if it is that version, else fetched.

    Where the registered canary set alone is another, for users were erased from it, it alone is replaced.

    Args:
        name: Registered model.
        version: Its number; None for the champion.
        folder: Where the bundle is to be.

    Raises:
        BadInput: There is no such version, or no champion.
        WrongWeightsError: What the registry holds is not what was registered.
    """
    client = tracking.connect()
    found = tracking.find_version(client, name, version)
    number = str(found.version)
    registered = {part: found.tags.get(f"{tracking.TAG}{part}_sha256") for part in tracking.PARTS}
    canary = found.tags.get(f"{tracking.TAG}{tracking.CANARY}_sha256", "")
    lineage = {key: found.tags[tag] for key in LINEAGE if (tag := f"{tracking.TAG}{key}") in found.tags}
    here = None
    # Missing or damaged: fetched anew either way.
    with contextlib.suppress(BadInput):
        here = Bundle.open(folder)
    if here is not None and (here.name, here.version, here.sha256) != (name, number, registered):
        here = None
    if here is not None and here.canary_sha256 == canary:
        if here.lineage != lineage:
            here = replace(here, lineage=lineage)
            _describe(here, here.folder)
        return here
    with tempfile.TemporaryDirectory() as fetched:
        parts = tracking.download_version(client, found, fetched)
        if here is not None:
            return _renewed(replace(here, lineage=lineage), parts.get(tracking.CANARY))
        return write_bundle(folder, name, number, **parts, lineage=lineage)


def _renewed(bundle: Bundle, canary: Path | None) -> Bundle:
    # Described without one while it is replaced: a bundle cut off in between opens, and is renewed again.
    bundle = replace(bundle, canary_sha256="")
    _describe(bundle, bundle.folder)
    shutil.rmtree(bundle.folder / tracking.CANARY, ignore_errors=True)
    (bundle.folder / PROBE).unlink(missing_ok=True)
    if canary is not None:
        shutil.copytree(canary, bundle.folder / tracking.CANARY)
        bundle = replace(bundle, canary_sha256=sha256_of(bundle.folder / tracking.CANARY))
        _describe(bundle, bundle.folder)
    return bundle


def _describe(bundle: Bundle, folder: Path) -> None:
    about = asdict(bundle)
    del about["folder"]
    write_json(folder / DESCRIPTION, {"schema": 1, **about})


def _refuse_pickles(part: Path) -> None:
    # A pickle runs its own code when it is opened; a folder that holds one is not opened at all.
    pickled = sorted(p.relative_to(part).as_posix() for p in part.rglob("*") if p.suffix in _PICKLED)
    if pickled:
        raise BadInput(f"{part} holds {', '.join(pickled)}: pickled weights are refused, save as safetensors")
    if not list(part.glob("*.safetensors")):
        raise BadInput(f"{part} holds no *.safetensors weights")
