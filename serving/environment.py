"""Names of the environment variables that serving reads, beside those of its limits."""

from __future__ import annotations

NAME = "ASSAY_MODEL_NAME"
"""Registered model; `assay-search` if unset. Read by the container's command."""

VERSION = "ASSAY_MODEL_VERSION"
"""Number of its version; the champion if unset. Read by the container's command."""

BUNDLE = "ASSAY_BUNDLE"
"""Folder of a bundle to serve; the registry is then not asked."""

CACHE = "ASSAY_CACHE"
"""Folder for bundles that are fetched; `assay` in the user's cache folder if unset."""

REGISTRY = "MLFLOW_TRACKING_URI"
"""Where versions are registered; `runs/mlflow.db` in the working folder if unset."""

VARIABLES = (NAME, VERSION, BUNDLE, CACHE, REGISTRY)
