"""The bundle: one fixed model version in a folder, checked file by file before it is opened."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from assay.components.core import tracking
from assay.components.core.errors import BadInput
from assay.components.core.manifest import publishing, sha256_of, write_json

DESCRIPTION = "bundle.json"
_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt", ".h5")


@dataclass(frozen=True)
class Bundle:
    """A model version in a folder: `bundle.json`, `ranker/`, `encoder/`.

    Attributes:
        folder: Where it is.
        name: Registered model.
        version: Number of the version, as text.
        sha256: Of each part: {"ranker": hex, "encoder": hex}.
        kind: `cross` or `bi`.
    """

    folder: Path
    name: str
    version: str
    kind: str
    sha256: dict[str, str] = field(hash=False)

    @property
    def ranker(self) -> Path:
        """Folder of the ranker."""
        return self.folder / "ranker"

    @property
    def encoder(self) -> Path:
        """Folder of the encoder."""
        return self.folder / "encoder"

    @classmethod
    def open(cls, folder: str | Path) -> Bundle:
        """Read a bundle and check that its weights are those that were registered.

        Raises:
            BadInput: It is no bundle, a part's sha256 is another, or its weights are not safetensors.
        """
        folder = Path(folder)
        try:
            about = json.loads((folder / DESCRIPTION).read_text())
            bundle = cls(folder, about["name"], about["version"], about["kind"], dict(about["sha256"]))
            expected = {part: bundle.sha256[part] for part in tracking.PARTS}
        except FileNotFoundError as error:
            raise BadInput(
                f"{folder} is no bundle: it holds no {DESCRIPTION}; `assay serve` makes one"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"{folder / DESCRIPTION} cannot be read ({error!r}): remove the folder, make it again"
            ) from error
        for part, sha256 in expected.items():
            _refuse_pickles(folder / part)
            if (found := sha256_of(folder / part)) != sha256:
                raise BadInput(
                    f"{bundle.name} version {bundle.version}: {part} in {folder} has sha256 {found}, "
                    f"registered was {sha256}: refused; remove the folder to have it fetched again"
                )
        return bundle


def write_bundle(
    folder: str | Path, name: str, version: str, ranker: str | Path, encoder: str | Path
) -> Bundle:
    """Write a bundle from two folders; it exists whole or not at all.

    Args:
        folder: Where; replaced if it exists.
        name: Registered model.
        version: Number of the version.
        ranker: Folder that `Ranker.save` wrote.
        encoder: Folder that `TextEncoder.save` wrote.

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
        about = asdict(Bundle(Path(), name, str(version), kind, sha256))
        del about["folder"]
        write_json(beside / DESCRIPTION, {"schema": 1, **about})
    return Bundle(Path(folder), name, str(version), kind, sha256)


def make_bundle(name: str, version: str | None, folder: str | Path) -> Bundle:
    """A registered version as a bundle: the one in the folder if it is that version, else fetched.

    Args:
        name: Registered model.
        version: Its number; None for the champion.
        folder: Where the bundle is to be.

    Raises:
        BadInput: There is no such version, or no champion.
        ValueError: The registry's weights are not those that were registered.
    """
    client = tracking.connect()
    found = tracking.find_version(client, name, version)
    registered = {part: found.tags.get(f"{tracking.TAG}{part}_sha256") for part in tracking.PARTS}
    try:
        here = Bundle.open(folder)
    except BadInput:
        here = None  # Missing or damaged: fetched anew either way.
    if here is not None and (here.name, here.version, here.sha256) == (name, str(found.version), registered):
        return here
    parts = tracking.download_version(client, found)
    return write_bundle(folder, name, str(found.version), parts["ranker"], parts["encoder"])


def _refuse_pickles(part: Path) -> None:
    # A pickle runs its own code when it is opened; a folder that holds one is not opened at all.
    pickled = sorted(p.relative_to(part).as_posix() for p in part.rglob("*") if p.suffix in _PICKLED)
    if pickled:
        raise BadInput(f"{part} holds {', '.join(pickled)}: pickled weights are refused, save as safetensors")
    if not list(part.glob("*.safetensors")):
        raise BadInput(f"{part} holds no *.safetensors weights")
