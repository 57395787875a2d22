"""MLflow: where runs and models are kept, and how a registered version is fetched and checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from assay.components.core.errors import BadInput
from assay.components.core.manifest import sha256_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
TAG = "assay."
"""Prefix of our tags on runs and model versions."""

STORES = ("sqlite", "postgresql", "mysql", "mssql", "http", "https", "file", "databricks")
"""Schemes of an MLflow store."""

PARTS = ("ranker", "encoder")
"""The folders of a registered version, each with its sha256 in tag `assay.<part>_sha256`."""

_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow answers where there is no such thing."""

CANARY = "canary"
"""The folder of test rows with the scores that the version gave them; older versions have none."""


class WrongWeightsError(ValueError):
    """A part of a version is not what was registered."""


def default_uri() -> str:
    """`MLFLOW_TRACKING_URI` where set, else sqlite in `runs/mlflow.db`; made absolute."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///runs/mlflow.db"
    file = uri.removeprefix("sqlite:///")
    return uri if file == uri else f"sqlite:///{Path(file).resolve()}"


def check_uri() -> None:
    """Check the store's address without importing mlflow.

    Raises:
        BadInput: It is none that MLflow knows.
    """
    uri = default_uri()
    scheme = uri.partition("://")[0].partition("+")[0] if "://" in uri else uri
    if scheme not in STORES:
        raise BadInput(f"MLFLOW_TRACKING_URI {uri}: known are {', '.join(f'{s}://' for s in STORES)}")


def connect() -> MlflowClient:
    """A client on the default store; the folder of a sqlite file is made if missing."""
    import mlflow

    uri = default_uri()
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return mlflow.MlflowClient()


def experiment_id(client: MlflowClient, name: str) -> str:
    """Id of an experiment, made if missing; beside a sqlite file go its artifacts, never `./mlruns`."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return found.experiment_id
    uri, location = default_uri(), None
    if uri.startswith("sqlite:///"):
        location = (Path(uri.removeprefix("sqlite:///")).parent / "mlflow-artifacts").as_uri()
    return client.create_experiment(name, artifact_location=location)


def version_by_alias(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """The version that an alias names, or None where there is no such model or alias."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in _ABSENT:
            return None
        raise


def named_by(client: MlflowClient, name: str, alias: str) -> ModelVersion:
    """The version that an alias names.

    Raises:
        BadInput: It names none.
    """
    found = version_by_alias(client, name, alias)
    if found is None:
        raise BadInput(f"models:/{name}@{alias}: {name} has no alias {alias!r} in {default_uri()}")
    return found


def find_version(client: MlflowClient, name: str, version: str | None = None) -> ModelVersion:
    """A version by number, or the champion.

    Raises:
        BadInput: There is none; the message says what there is.
    """
    from mlflow.exceptions import MlflowException

    if version is None:
        champion = version_by_alias(client, name, CHAMPION)
        if champion is not None:
            return champion
        there = [v.version for v in client.search_model_versions(f"name = '{name}'")]
        hint = (
            f"registered versions: {', '.join(sorted(map(str, there), key=int))}"
            if there
            else "none is registered"
        )
        raise BadInput(
            f"{name} has no champion in {default_uri()} ({hint}): `assay run` makes and promotes one"
        )
    try:
        return client.get_model_version(name, str(version))
    except MlflowException as error:
        if error.error_code not in _ABSENT:
            raise
        raise BadInput(f"{name} has no version {version} in {default_uri()}: {error.message}") from error


def download_version(
    client: MlflowClient, version: ModelVersion, folder: str | Path | None = None
) -> dict[str, Path]:
    """Local folders of a version's parts, each checked against its sha256.

    Args:
        client: Of the registry.
        version: The version.
        folder: Where they are copied to; None leaves the place to MLflow, which never clears it.

    Returns:
        {"ranker": folder, "encoder": folder}, and "canary" where the version has one.

    Raises:
        WrongWeightsError: A part is not what was registered.
    """
    import mlflow

    where = None if folder is None else str(folder)
    uri = f"models:/{version.name}/{version.version}"
    root = Path(mlflow.artifacts.download_artifacts(uri, dst_path=where)) / "artifacts"
    canary = (CANARY,) if (root / CANARY).is_dir() else ()
    folders = {}
    for part in (*PARTS, *canary):
        expected, found = version.tags.get(f"{TAG}{part}_sha256"), sha256_of(root / part)
        if expected != found:
            raise WrongWeightsError(
                f"{version.name} version {version.version}: {part} has sha256 {found}, "
                f"registered was {expected}: refused"
            )
        folders[part] = root / part
    return folders


def download_ranker(uri: str) -> Path:
    """Local folder of the ranker that a `models:/name/version` or `models:/name@alias` URI names.

    Raises:
        BadInput: The URI is malformed or names nothing.
    """
    rest = uri.removeprefix("models:/")
    name, at, alias = rest.partition("@")
    number = None
    if not at:
        name, _, number = rest.partition("/")
        if not number:
            raise BadInput(f"{uri}: write models:/NAME/VERSION or models:/NAME@ALIAS")
    client = connect()
    found = named_by(client, name, alias) if at else find_version(client, name, number)
    return download_version(client, found)["ranker"]
