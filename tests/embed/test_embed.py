import numpy as np
import pandas as pd
import pytest
from assay.components.core.samples import read_samples
from assay.components.embed.embed import embed
from assay.components.embed.features import SIMILARITIES, interactions
from assay.components.embed.texts import reduced, tfidf
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.prepare import IngestConfig, ingest

from tests.conftest import PAIRS_COLUMNS


@pytest.fixture(scope="module")
def embedded(tmp_path_factory, pairs_file, tiny_encoder):
    folder = tmp_path_factory.mktemp("embed")
    paths = {name: str(folder / name) for name in ("samples", "texts", "truth", "vectors", "encoder")}
    config = IngestConfig(str(pairs_file), columns=parse_columns(PAIRS_COLUMNS))
    ingest(config, paths["samples"], paths["texts"], paths["truth"])
    facts = embed(paths["samples"], paths["texts"], paths["vectors"], paths["encoder"], str(tiny_encoder), 0)
    return folder, paths, facts


def test_each_distinct_text_is_encoded_once(embedded):
    folder, paths, facts = embedded
    texts = pd.read_parquet(folder / "texts" / "texts.parquet")
    vectors = np.load(folder / "vectors" / "texts.npy")
    assert facts["texts"] == len(texts) == len(vectors) == texts["text"].nunique()


def test_the_cosine_is_the_encoders_own(embedded):
    folder, paths, _ = embedded
    samples = read_samples(paths["samples"])
    texts = pd.read_parquet(folder / "texts" / "texts.parquet")["text"].tolist()
    vectors = dict(zip(texts, np.load(folder / "vectors" / "texts.npy"), strict=True))
    cosine = np.load(folder / "vectors" / "cosine.npy")
    for row in (0, 100, 399):
        expected = vectors[samples["context"][row]] @ vectors[samples["item"][row]]
        assert cosine[row] == pytest.approx(expected, abs=1e-5)


def test_features_are_in_sample_order_and_standardised(embedded):
    folder, paths, facts = embedded
    features = np.load(folder / "vectors" / "features.npy")
    ids = pd.read_parquet(folder / "vectors" / "sample_ids.parquet")["sample_id"]
    assert ids.tolist() == read_samples(paths["samples"])["sample_id"].tolist()
    assert features.shape == (400, facts["features"])
    alike = features[:, : len(SIMILARITIES)]
    assert np.allclose(alike.mean(0), 0, atol=1e-4)
    assert np.allclose(alike.std(0), 1, atol=1e-3)


def test_embedding_twice_gives_the_same_bytes(embedded, tiny_encoder, tmp_path):
    folder, paths, _ = embedded
    embed(paths["samples"], paths["texts"], str(tmp_path / "v"), str(tmp_path / "e"), str(tiny_encoder), 0)
    for name in ("texts.npy", "features.npy", "cosine.npy"):
        assert (tmp_path / "v" / name).read_bytes() == (folder / "vectors" / name).read_bytes()


def test_tfidf_forgives_typos_by_characters_only():
    texts = ["espresso machine", "esspresso machin", "garden hose"]
    word, char = tfidf(texts, "word"), tfidf(texts, "char")
    assert (word[0] @ word[1].T).toarray().item() == 0
    assert (char[0] @ char[1].T).toarray().item() > 0.4 > (char[0] @ char[2].T).toarray().item()


def test_texts_without_a_word_have_vectors_all_the_same():
    assert tfidf(["!!", "?"], "word").shape[0] == 2
    assert np.isfinite(reduced(tfidf(["!!", "?"], "word"), 8, 0)).all()


def test_equal_rows_leave_no_interaction_to_reduce():
    same = np.ones((3, 4), dtype=np.float32)
    assert interactions(same, np.array([0, 1]), np.array([1, 2]), 8, 0).tolist() == [[0], [0]]
