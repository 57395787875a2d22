"""The second table: asked for, in words, standardised, and without a trace in the first."""

import numpy as np
import pandas as pd
import pytest
from assay.components.core.manifest import read_manifest
from assay.components.core.samples import read_samples
from assay.components.embed.embed import embed
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.prepare import IngestConfig, ingest

from tests.conftest import PAIRS_COLUMNS, pairs_frame


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_encoder):
    """(folder, embed(name, **settings) -> (traits.npy, manifest)) of pairs with attributes and a price."""
    folder = tmp_path_factory.mktemp("traits")
    frame = pairs_frame()
    words = frame["title"].str.split()
    rng = np.random.default_rng(0)
    frame.assign(
        color=words.str[0], type=words.str[1], category=words.str[1], price=rng.random(len(frame))
    ).to_csv(folder / "pairs.csv", index=False)
    config = IngestConfig(str(folder / "pairs.csv"), columns=parse_columns(PAIRS_COLUMNS))
    ingest(config, *(str(folder / name) for name in ("samples", "texts", "truth")))

    def run(name, texts="texts", **settings):
        places = [folder / "samples", folder / texts, folder / name, folder / f"{name}-encoder"]
        embed(*map(str, places), str(tiny_encoder), 0, **settings)
        return np.load(folder / name / "traits.npy"), read_manifest(folder / name)

    return folder, run


def test_all_families_are_columns_in_words(made):
    folder, run = made
    table, about = run("all", traits=["category", "tags", "behaviour"])
    samples = read_samples(folder / "samples")
    fit = samples["split"].isin(["train", "target"]).to_numpy()
    assert table.shape == (len(samples), len(about["trait_words"]))
    assert len(set(about["trait_words"])) == table.shape[1]
    assert np.allclose(table[fit].mean(0), 0, atol=1e-4)
    assert np.allclose(table[fit].std(0), 1, atol=1e-3)
    agree = table[:, about["trait_words"].index("colour of query and item")]
    # The query's first word is its colour, the title's first word is the item's.
    same = (samples["context"].str.split().str[0] == samples["item"].str.split().str[0]).to_numpy()
    assert np.mean((agree > 0) == same) > 0.9
    assert about["traits"]["category"]["from"] == "category"
    assert about["traits"]["tags"]["by"] == "attributes"
    assert "price against its list's" in about["trait_words"]


def test_the_features_are_the_same_bytes_whatever_traits_are_asked_for(made):
    folder, run = made
    none, about = run("none")
    run("some", traits=["tags", "behaviour"])
    assert (none.shape[1], about["trait_words"], about["traits"]) == (0, [], {})
    for name in ("features.npy", "texts.npy", "cosine.npy"):
        assert (folder / "none" / name).read_bytes() == (folder / "some" / name).read_bytes()


def test_traits_are_the_same_bytes_twice(made):
    folder, run = made
    first, _ = run("once", traits=["category", "tags", "behaviour"])
    again, _ = run("twice", traits=["category", "tags", "behaviour"])
    assert first.tobytes() == again.tobytes()


def test_what_cannot_be_had_is_left_out_with_its_reason(made):
    folder, run = made
    (folder / "bare").mkdir(exist_ok=True)
    (folder / "bare" / "texts.parquet").write_bytes((folder / "texts" / "texts.parquet").read_bytes())
    table, about = run("bare-v", texts="bare", traits=["category", "tags"])
    # Without a category of their own, the segments of the rows are what is learnt.
    assert about["traits"]["category"]["from"] == "segment"
    assert table.shape[1] == 3
    assert "0 titles say an attribute" in about["traits"]["tags"]["left_out"]
    with pytest.raises(ValueError, match="unknown traits taste; known: category, tags, behaviour"):
        run("x", traits=["taste"])


def test_a_tagger_can_be_named(made, tiny_encoder, tmp_path):
    import torch
    from transformers import AutoTokenizer, BertForTokenClassification

    torch.manual_seed(0)
    names = {0: "O", 1: "B-COLOR", 2: "B-BRAND"}
    BertForTokenClassification.from_pretrained(tiny_encoder, num_labels=3, id2label=names).save_pretrained(
        tmp_path
    )
    AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(tmp_path)
    _, about = made[1]("named", traits=["tags"], tagger=str(tmp_path))
    assert about["traits"]["tags"]["by"] == str(tmp_path)
    assert set(about["traits"]["tags"]["share_that_says"]["titles"]) == {"brand", "colour"}


def test_attributes_table_may_name_texts_alone(made):
    table = pd.read_parquet(made[0] / "texts" / "attributes.parquet")
    assert list(table.columns) == ["item", "category", "colour", "type"]


def test_score_reads_the_traits_of_its_rows(made):
    from assay.components.score.reading import read_inputs

    folder, run = made
    table, about = run("read", traits=["behaviour"])
    inputs = read_inputs(str(folder / "samples"), str(folder / "read"), {}, 1.0, 0)
    train = (read_samples(folder / "samples")["split"] == "train").to_numpy()
    assert np.array_equal(inputs.traits, table[train])
    assert inputs.trait_words == about["trait_words"]
