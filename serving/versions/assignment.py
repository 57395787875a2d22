"""What the worker is to serve, and what came of it: two files in which supervisor and worker meet."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.components.core import tracking
from assay.components.core.errors import BadInput
from assay.components.core.manifest import write_json
from assay.serving.versions.bundle import Bundle

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

ASSIGNMENT, ANSWERS = "assignment.json", "answers.json"
SERVING, REFUSED, ROLLED_BACK = "serving", "refused", "rolled back"
"""What comes of a version."""
VARIABLE = "ASSAY_ASSIGNMENT"
"""Environment variable of the worker: where the assignment is."""


@dataclass(frozen=True)
class Assigned:
    """A version, and the folder of its bundle.

    Attributes:
        version: Its number, as text.
        sha256: Of its ranker: two registries may both have a version 3.
        folder: Of its bundle.
    """

    version: str
    sha256: str
    folder: str

    @classmethod
    def of(cls, bundle: Bundle) -> Assigned:
        """The version of a bundle."""
        return cls(bundle.version, bundle.sha256["ranker"], str(bundle.folder.resolve()))

    @classmethod
    def registered(cls, version: ModelVersion, bundles: Path) -> Assigned:
        """A registered version, and where its bundle is to be: in a folder of bundles, one a version."""
        sha256 = version.tags.get(f"{tracking.TAG}ranker_sha256", "none")
        return cls(str(version.version), sha256, str(bundles / str(version.version)))

    @property
    def key(self) -> str:
        """What answers call it: "3-44c9f22786a7"."""
        return f"{self.version}-{self.sha256[:12]}"


@dataclass(frozen=True)
class Assignment:
    """What the worker is to serve.

    Attributes:
        name: Registered model.
        mode: `pinned` or `follow`.
        champion: What answers.
        challenger: What gets the shares; None where there is none.
        shadow_share: Share of lists that the challenger scores too, after the answer.
        canary_share: Share of requests that the challenger answers.
        refused: {key: why} of versions that are not served though an alias names them.
    """

    name: str
    mode: str
    champion: Assigned
    challenger: Assigned | None = None
    shadow_share: float = 0.0
    canary_share: float = 0.0
    refused: dict[str, str] = field(default_factory=dict, hash=False)

    def write(self, folder: str | Path) -> Path:
        """Write `assignment.json`; a reader sees the old one or the new one, never half."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_json(Path(folder) / ASSIGNMENT, {"schema": 1, **asdict(self)})
        return Path(folder) / ASSIGNMENT

    @classmethod
    def read(cls, file: str | Path) -> Assignment:
        """Read and check an assignment.

        Raises:
            BadInput: There is none, or it cannot be used; the message says why.
        """
        try:
            found = json.loads(Path(file).read_text())
            if found.pop("schema") != 1:
                raise ValueError("its schema is not 1")
            for role in ("champion", "challenger"):
                found[role] = None if found[role] is None else _assigned(found[role])
            assignment = cls(**found)
            if assignment.champion is None:
                raise ValueError("it names no champion")
            for share in (assignment.shadow_share, assignment.canary_share):
                if not 0 <= share <= 1:
                    raise ValueError(f"{share} is no share")
        except FileNotFoundError as error:
            raise BadInput(f"{file}: there is no assignment; `assay serve` writes one") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(
                f"{file} cannot be read ({error}): remove it, and start `assay serve` again"
            ) from error
        return assignment


def _assigned(found: dict[str, str]) -> Assigned:
    assigned = Assigned(**found)
    if not all(isinstance(value, str) and value for value in asdict(assigned).values()):
        raise ValueError(f"{found} names no bundle")
    return assigned


@dataclass(frozen=True)
class Answer:
    """What came of a version.

    Attributes:
        outcome: `serving`, `refused` before it served, or `rolled back` after.
        reason: Why not; "" where it serves.
    """

    outcome: str
    reason: str = ""


def write_answers(assignment: str | Path, answers: dict[str, Answer]) -> None:
    """Write `answers.json` beside an assignment: {key: answer}."""
    write_json(Path(assignment).with_name(ANSWERS), {key: asdict(answer) for key, answer in answers.items()})


def read_answers(folder: str | Path) -> dict[str, Answer]:
    """The worker's answers; none where it has written none that can be read."""
    try:
        found: dict[str, Any] = json.loads((Path(folder) / ANSWERS).read_text())
        return {key: Answer(**answer) for key, answer in found.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}
