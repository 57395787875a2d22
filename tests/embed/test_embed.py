import numpy as np
import pandas as pd
import pytest
from assay.components.core.manifest import publishing
from assay.components.core.samples import read_samples, text_id, write_samples
from assay.components.core.vectors import row_vectors
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
    split = read_samples(paths["samples"])["split"]
    alike = features[split.isin(["train", "target"]), : len(SIMILARITIES)]
    assert np.allclose(alike.mean(0), 0, atol=1e-4)
    assert np.allclose(alike.std(0), 1, atol=1e-3)


def test_embedding_twice_gives_the_same_bytes(embedded, tiny_encoder, tmp_path):
    folder, paths, _ = embedded
    embed(paths["samples"], paths["texts"], str(tmp_path / "v"), str(tmp_path / "e"), str(tiny_encoder), 0)
    for name in ("texts.npy", "features.npy", "cosine.npy"):
        assert (tmp_path / "v" / name).read_bytes() == (folder / "vectors" / name).read_bytes()


def test_tfidf_forgives_typos_by_characters_only():
    texts = ["espresso machine", "esspresso machin", "garden hose"]
    word, char = tfidf(texts, "word", np.arange(3)), tfidf(texts, "char", np.arange(3))
    assert (word[0] @ word[1].T).toarray().item() == 0
    assert (char[0] @ char[1].T).toarray().item() > 0.4 > (char[0] @ char[2].T).toarray().item()


def test_texts_without_a_word_have_vectors_all_the_same():
    matrix = tfidf(["!!", "?"], "word", np.arange(2))
    assert matrix.shape[0] == 2
    assert np.isfinite(reduced(matrix, 8, 0, np.arange(2))).all()


def test_equal_rows_leave_no_interaction_to_reduce():
    same = np.ones((3, 4), dtype=np.float32)
    assert interactions(same, np.array([0, 1]), np.array([1, 2]), 8, 0, np.ones(2, dtype=bool)).tolist() == [
        [0],
        [0],
    ]


def test_the_features_of_training_rows_do_not_depend_on_the_test_rows(embedded, tiny_encoder, tmp_path):
    """Other test texts, same bytes for every training and target row."""
    folder, paths, _ = embedded
    samples = read_samples(paths["samples"])
    mine = samples["split"].isin(["train", "target"]).to_numpy()
    changed = samples.assign(item=samples["item"].where(mine, "green kettle of glass"))
    texts = sorted(set(changed["context"]) | set(changed["item"]), key=text_id)
    for name in ("samples", "texts"):
        with publishing(tmp_path / name) as (beside, _):
            if name == "samples":
                write_samples(changed, beside)
            else:
                pd.DataFrame({"text": texts}).to_parquet(beside / "texts.parquet")
    embed(*(str(tmp_path / part) for part in ("samples", "texts", "v", "e")), str(tiny_encoder), 0)
    before, after = (np.load(f / "features.npy")[mine] for f in (folder / "vectors", tmp_path / "v"))
    assert np.allclose(before, after, atol=1e-4)
    assert not np.allclose(
        *(np.load(f / "features.npy")[~mine] for f in (folder / "vectors", tmp_path / "v"))
    )


def test_the_vectors_of_rows_are_those_of_their_two_texts(embedded):
    folder, paths, _ = embedded
    samples = read_samples(paths["samples"])
    texts = pd.read_parquet(folder / "texts" / "texts.parquet")["text"].tolist()
    vectors = dict(zip(texts, np.load(folder / "vectors" / "texts.npy"), strict=True))
    some = samples.iloc[[300, 7, 8]]
    found = row_vectors(paths["vectors"], some["sample_id"])
    for row, (context, item) in enumerate(zip(some["context"], some["item"], strict=True)):
        expected = np.concatenate([vectors[context], vectors[item]]) / np.sqrt(2)
        assert np.allclose(found[row], expected, atol=1e-6)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    with pytest.raises(KeyError, match="no vectors of 1 of 2 rows"):
        row_vectors(paths["vectors"], [some["sample_id"].iloc[0], "unknown"])
