"""What the writers write, read again by the readers and by sentence-transformers."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.core.manifest import publishing
from assay.components.core.samples import sample_ids, text_id, write_samples
from assay.components.ingest.writers import ALONE, WRITERS, export

from tests.ingest.readers.by_claim import read

QUERIES = ["red shoes", '"4k" tv\tsmart', "学习 桌", "nothing fits"]
GRADES = [[3, 2, 0, 1, 0], [3, 3, 3, 1], [0, 2], [0, 1, 0]]


@pytest.fixture
def folders(tmp_path):
    """Grades 0 to 3, relevant from 2; one label was corrected by the selection, one row is in no arm."""
    rows = [
        {
            "group_id": query,
            "context": query,
            "item_id": f"p{q}-{n}",
            "item": f'{query.split()[0] if grade >= 2 else "item"} {q} {n}, "new" é',
            "grade": float(grade),
        }
        for q, (query, grades) in enumerate(zip(QUERIES, GRADES, strict=True))
        for n, grade in enumerate(grades)
    ]
    frame = pd.DataFrame(rows)
    frame["sample_id"] = sample_ids(
        "search", *(frame[c].tolist() for c in ["group_id", "context", "item_id", "item"]), "grade"
    )
    frame = frame.assign(
        task="search",
        label=(frame["grade"] / 3).astype("float32"),
        weight=np.float32(2),
        segment="all",
        source="x",
        split="train",
    )
    samples, selection = tmp_path / "samples", tmp_path / "selection"
    with publishing(samples, max_grade=3.0, relevant_at=2.0) as (folder, _):
        write_samples(frame, folder, 2)
    chosen = frame[["sample_id", "group_id", "item_id", "label"]].assign(
        arm="challenger", weight=np.float32(0.5)
    )
    chosen.loc[chosen["item_id"] == "p0-2", "label"] = np.float32(1)
    chosen = chosen[chosen["item_id"] != "p1-3"]
    with publishing(selection) as (folder, _):
        control = chosen.head(3).assign(arm="control")
        left_out = chosen.tail(1).assign(arm="none")
        pd.concat([chosen, control, left_out]).to_parquet(folder / "selection.parquet", index=False)
    frame = frame.set_index("item_id").loc[chosen["item_id"]].reset_index()
    return samples, selection, frame.assign(label=chosen["label"].to_numpy())


def grades_of(frame, key="item_id"):
    return {(row.context, row[key]): row.label for _, row in frame.iterrows()}


def test_bge_is_read_again(folders, tmp_path):
    samples, selection, expected = folders
    facts = export(samples, selection, "challenger", "bge", tmp_path / "out")
    assert facts == {
        "lists": 3, "rows": 10, "lists_without_positive": 1, "lists_without_negative": 1,
        "files": ["train.jsonl"],
    }  # fmt: skip
    tables, ledger, readers = read(tmp_path / "out" / "train.jsonl")
    assert readers == ["bge"]
    back = tables["judgments"].join(tables["items"].select("item_id", "text"), on="item_id")
    found = {(row["query"], row["text"]): (row["grade"], row["feature.score"]) for row in back.to_dicts()}
    expected = expected[expected["context"] != "nothing fits"]
    assert found == {
        (row.context, row["item"]): (float(row.label >= np.float32(2 / 3)), pytest.approx(row.label))
        for _, row in expected.iterrows()
    }
    assert found[("red shoes", 'item 0 2, "new" é')] == (1.0, 1.0)


def test_trec_is_read_again(folders, tmp_path):
    samples, selection, expected = folders
    facts = export(samples, selection, "challenger", "trec", tmp_path / "out")
    files = ["corpus.jsonl", "qrels.txt", "queries.tsv"]
    assert facts == {"rows": 13, "queries": 4, "items": 13, "max_grade": 3, "files": files}
    tables, ledger, readers = read(*(tmp_path / "out" / name for name in files))
    assert readers == ["beir", "trec_qrels", "beir"]
    assert ledger.rows_in == 13
    back = tables["judgments"].join(tables["queries"].select("query_id", text="query"), on="query_id")
    found = {(row["text"], row["item_id"]): row["grade"] for row in back.to_dicts()}
    assert found == {
        (row.context.replace("\t", " "), row.item_id): pytest.approx(row.label * 3)
        for _, row in expected.iterrows()
    }
    assert dict(tables["items"].select("item_id", "text").rows()) == dict(
        zip(expected["item_id"], expected["item"], strict=True)
    )


def test_grades_between_are_hundredths_and_ids_of_several_texts_are_hashes(folders, tmp_path):
    samples, selection, expected = folders
    table = pl.read_parquet(selection / "selection.parquet")
    halves = table.with_columns(
        label=pl.when(pl.col("item_id") == "p2-0").then(pl.lit(0.37, pl.Float32)).otherwise("label")
    )
    halves.write_parquet(selection / "selection.parquet")
    rows = pd.concat([pd.read_parquet(file) for file in sorted(samples.glob("part-*"))])
    rows = rows.assign(timestamp=None, item_id=rows["item_id"].replace("p2-1", "p2-0"))
    for file in samples.glob("part-*"):
        file.unlink()
    write_samples(rows, samples)
    assert export(samples, selection, "challenger", "trec", tmp_path / "out")["max_grade"] == 100
    lines = [line.split() for line in (tmp_path / "out" / "qrels.txt").read_text().splitlines()]
    found = {docid: int(grade) for _, _, docid, grade in lines}
    assert len(found) == 13
    assert found[text_id('p2-0\0item 2 0, "new" é')] == 37
    assert found[text_id('p2-0\0学习 2 1, "new" é')] == 67
    assert "p2-0" not in found


def test_sentence_transformers_opens_what_is_written(folders, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.evaluation import TripletEvaluator
    from sentence_transformers.sentence_transformer.modules import BoW

    samples, selection, expected = folders
    facts = export(samples, selection, "challenger", "sentence-transformers", tmp_path / "out")
    pairs = pd.read_parquet(tmp_path / "out" / "pairs.parquet")
    assert list(pairs) == ["query", "document", "label"]
    found = {(row.query, row.document): row.label for row in pairs.itertuples()}
    assert found == grades_of(expected, "item")
    triplets = pd.read_parquet(tmp_path / "out" / "triplets.parquet")
    assert list(triplets) == ["anchor", "positive", "negative"]
    # 3 of 5 are relevant in the first list, 1 of 2 in the third; the others lack one of the sides.
    assert triplets["anchor"].value_counts().to_dict() == {"red shoes": 3, "学习 桌": 1}
    assert facts == {
        "rows": 13,
        "triplets": 4,
        "lists_in_triplets": 2,
        "files": ["pairs.parquet", "triplets.parquet"],
    }
    for row in triplets.itertuples():
        assert found[row.anchor, row.positive] >= np.float32(2 / 3) > found[row.anchor, row.negative]
    first = triplets[triplets["anchor"] == "red shoes"]
    assert (first["positive"].nunique(), first["negative"].nunique()) == (3, 2)
    words = sorted({word for text in triplets.to_numpy().ravel() for word in text.split()})
    evaluator = TripletEvaluator(*(triplets[name].tolist() for name in triplets))
    # Relevant items share a word with their query, but the one that became so.
    assert evaluator(SentenceTransformer(modules=[BoW(words)], device="cpu"))["cosine_accuracy"] == 0.75


def test_of_a_click_rate_any_click_is_relevant(folders, tmp_path):
    samples, selection, _ = folders
    manifest = json.loads((samples / "manifest.json").read_text())
    (samples / "manifest.json").write_text(json.dumps(manifest | {"max_grade": 1.0, "relevant_at": 1e-6}))
    table = pl.read_parquet(selection / "selection.parquet")
    rate = pl.when(pl.col("item_id") == "p3-0").then(pl.lit(0.01, pl.Float32)).otherwise("label")
    table.with_columns(label=rate).write_parquet(selection / "selection.parquet")
    export(samples, selection, "challenger", "bge", tmp_path / "out")
    lists = pl.read_ndjson(tmp_path / "out" / "train.jsonl").filter(query="nothing fits")
    assert sorted(lists["pos"][0]) == ['item 3 0, "new" é', 'item 3 1, "new" é']
    assert lists["neg"][0].to_list() == ['item 3 2, "new" é']


@pytest.mark.parametrize("format", WRITERS)
def test_one_file_is_asked_for_by_its_ending(folders, tmp_path, format):
    samples, selection, _ = folders
    export(samples, selection, "challenger", format, tmp_path / "whole")
    out = (tmp_path / "new" / "chosen").with_suffix(Path(ALONE[format]).suffix)
    assert export(samples, selection, "challenger", format, out)["files"] == [out.name]
    assert out.read_bytes() == (tmp_path / "whole" / ALONE[format]).read_bytes()
    assert [file.name for file in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize("out", ["out", "out.jsonl"])
def test_what_was_cut_off_leaves_nothing(folders, tmp_path, monkeypatch, out):
    samples, selection, _ = folders

    def cut(rows, folder):
        (folder / "train.jsonl").write_text("{")
        raise KeyboardInterrupt

    monkeypatch.setitem(WRITERS, "bge", cut)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        export(samples, selection, "challenger", "bge", tmp_path / out)
    assert sorted(tmp_path.iterdir()) == before
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written: Not a directory"):
        export(samples, selection, "challenger", "trec", tmp_path / "file" / "out")


@pytest.mark.parametrize("format", WRITERS)
def test_the_same_rows_are_the_same_bytes(folders, tmp_path, format):
    samples, selection, _ = folders
    for out in ("a", "b"):
        export(samples, selection, "challenger", format, tmp_path / out)
    for name in (file.name for file in (tmp_path / "a").iterdir()):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_what_cannot_be_exported_says_why(folders, tmp_path):
    samples, selection, _ = folders
    out = tmp_path / "out"
    for change, words in [
        ({"arm": "best"}, "arm 'best' has no rows; the selection has challenger, control"),
        ({"format": "csv"}, "--to csv: no such format; known: bge, sentence-transformers, trec"),
        ({"out": samples}, "samples: exists; name a file or folder"),
        ({"out": out.with_suffix(".parquet")}, "a file of bge ends in .jsonl; name one, or a folder"),
        ({"arm": "none"}, "arm 'none' has no rows; the selection has challenger, control$"),
        ({"selection_folder": samples}, "selection.parquet: no such file"),
        ({"samples_folder": selection}, "selection: no sample table"),
    ]:
        given = {
            "samples_folder": samples,
            "selection_folder": selection,
            "arm": "control",
            "format": "bge",
            "out": out,
        }
        with pytest.raises(BadInput, match=words):
            export(**(given | change))
        assert not out.exists()
    table = pl.read_parquet(selection / "selection.parquet")
    table.with_columns(sample_id="x" + pl.col("sample_id")).write_parquet(selection / "selection.parquet")
    with pytest.raises(BadInput, match="3 of 3 rows of arm 'control' are no rows of"):
        export(samples, selection, "control", "bge", out)
