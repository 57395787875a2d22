"""`assay bundle`: a registered version as a build context, and the overlay that runs its image."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assay.serving.versions.bundle import Bundle

CONTEXT = Path("runs/bundle")
"""Where a context goes unless told otherwise."""


def bundled(
    name: str,
    version: str | None,
    out: Path | None,
    variant: str,
    from_registry: bool,
    image: str | None,
    overlay: Path,
) -> list[Path]:
    """Write the context, the overlay, or both.

    Args:
        name: Registered model.
        version: Its number; None for the champion.
        out: Folder of the context; None is `CONTEXT`, or no context where an image is named.
        variant: `cpu` or `gpu`.
        from_registry: Whether the weights stay out.
        image: Of the overlay; None for no overlay.
        overlay: Its folder.

    Returns:
        The folders, the context first.

    Raises:
        BadInput: There is no such version, or an option does not fit.
        ValueError: The registry's weights are not those that were registered.
        RuntimeError: What computes the bundle could not be made.
    """
    from assay.components.core import tracking
    from assay.serving.image.context import check_target, write_context
    from assay.serving.image.overlay import check_image, write_overlay

    context = out or (None if image else CONTEXT)
    # Before minutes are spent on weights.
    if image:
        check_image(image)
    if context:
        check_target(context, variant)
    written = []
    number = ""
    if image or not from_registry:
        number = str(tracking.find_version(tracking.connect(), name, version).version)
    if context:
        bundle = None if from_registry else _prepared(name, number, variant)
        networks = write_context(bundle, context, variant, image)
        print(f"{variant} image, networks by {', '.join(networks)}: see {context}/README.md", file=sys.stderr)
        written.append(context)
    if image:
        components = ["gpu"] if variant == "gpu" else []
        written.append(write_overlay(image, name, number, overlay, components=components))
    return written


def _prepared(name: str, number: str, variant: str) -> Bundle:
    """The bundle, from the cache that `assay serve` has too; with ONNX files where the image runs those."""
    from assay.serving.run import bundles_folder
    from assay.serving.versions.fetch import fetch, prepare

    bundle = fetch(name, number, bundles_folder(name) / number)
    if variant == "cpu":
        prepare(bundle)
    return bundle
