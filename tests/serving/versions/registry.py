"""A real MLflow registry in sqlite whose versions hold files, as `register` leaves them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from assay.components.core import tracking
from assay.components.core.manifest import sha256_of

from tests.conftest import ROOT

if TYPE_CHECKING:
    from mlflow import MlflowClient

NAME = "assay-search"
CODE = ROOT / "components" / "register" / "pyfunc_model.py"


@contextlib.contextmanager
def registered(
    folder: Path, *versions: Mapping[str, Path], champion: str = "1", tags: Sequence[Mapping[str, str]] = ()
) -> Iterator[MlflowClient]:
    """A client of a registry; while inside, the environment points there.

    Args:
        folder: Where.
        versions: {part: folder of that name}, of versions 1, 2, ...
        champion: Number of one of them.
        tags: Of each version, beside the sha256 of its parts, or in their place.
    """
    import mlflow

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        client = tracking.connect()
        client.create_registered_model(NAME)
        with mlflow.start_run(experiment_id=tracking.experiment_id(client, "tests")):
            for number, parts in enumerate(versions):
                logged = mlflow.pyfunc.log_model(
                    name="model",
                    python_model=str(CODE),
                    artifacts={part: str(path) for part, path in parts.items()},
                    pip_requirements=[],
                )
                about = {f"assay.{part}_sha256": sha256_of(path) for part, path in parts.items()}
                about |= tags[number] if tags else {}
                client.create_model_version(
                    NAME, source=logged.model_uri, model_id=logged.model_id, tags=about
                )
        client.set_registered_model_alias(NAME, tracking.CHAMPION, champion)
        yield client


@contextlib.contextmanager
def spoilt(file: Path) -> Iterator[None]:
    """While inside, one bit of the file is another."""
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        yield
    finally:
        file.write_bytes(whole)
