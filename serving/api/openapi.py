"""Prints the OpenAPI document of the service: `python -m assay.serving.api.openapi > docs/openapi.json`."""

from __future__ import annotations

import json


def document() -> dict:
    """As `/docs.json` answers it, with the limits of this environment."""
    from assay.serving.service import Assay

    return Assay.openapi_spec.asdict()  # type: ignore[attr-defined]


if __name__ == "__main__":
    print(json.dumps(document(), indent=1, ensure_ascii=False))
