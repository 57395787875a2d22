"""The Kubeflow face of `embed` hands its parameters on."""

import json
from types import SimpleNamespace

from assay.components.embed.component import embed
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.prepare import IngestConfig, ingest

from tests.conftest import PAIRS_COLUMNS


def test_pooling_and_traits_reach_the_step(pairs_file, tiny_encoder, tmp_path):
    config = IngestConfig(str(pairs_file), columns=parse_columns(PAIRS_COLUMNS))
    ingest(config, *(str(tmp_path / name) for name in ("samples", "texts", "truth")))
    artifacts = {
        name: SimpleNamespace(path=str(tmp_path / name), metadata={})
        for name in ("samples", "texts", "vectors", "encoder")
    }
    embed.python_func(**artifacts, model=str(tiny_encoder), pooling="last", traits=["behaviour"])
    about = json.loads((tmp_path / "vectors" / "manifest.json").read_text())
    assert about["pooling"] == "last"
    assert "likeness to what its list took" in about["trait_words"]
    assert artifacts["vectors"].metadata == {"texts": about["texts"]}
