import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from assay.components.core.samples import (
    BLOCK,
    hash_unit,
    iter_samples,
    read_samples,
    read_shard,
    relevance,
    sample_ids,
    shard_files,
    write_samples,
)


def frame(rows: int) -> pd.DataFrame:
    text = [f"t{i}" for i in range(rows)]
    return pd.DataFrame(
        {
            "sample_id": sample_ids("search", text, text, text, text, "grade"),
            "task": "search",
            "group_id": text,
            "context": text,
            "item_id": text,
            "item": text,
            "label": np.linspace(0, 1, rows),
            "weight": 1.0,
            "segment": "all",
            "source": "test",
            "split": ["train", "test"] * (rows // 2),
        }
    )


def test_a_sample_id_is_a_function_of_content_alone():
    [one] = sample_ids("search", ["g"], ["q"], ["1"], ["shoe"], "grade")
    assert one == "136f34e4cafd94cbe83fbbf9f9665183"  # the same on every machine, for ever
    others = [
        sample_ids("review", ["g"], ["q"], ["1"], ["shoe"], "grade"),
        sample_ids("search", ["g"], ["q"], ["1"], ["shoe"], "click"),
        # Lengths are hashed too: moving a boundary between fields is another row.
        sample_ids("search", ["gq"], [""], ["1"], ["shoe"], "grade"),
    ]
    assert one not in [o[0] for o in others]


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_shards_are_whole_blocks_and_read_back_the_same(tmp_path, shards):
    table = frame(2 * BLOCK + 500)
    files = write_samples(table, tmp_path, shards)
    assert len(files) == min(shards, 3)
    assert all(pq.read_metadata(f).num_rows % BLOCK == 0 for f in files[:-1])
    back = read_samples(tmp_path)
    assert back["sample_id"].tolist() == sorted(table["sample_id"])
    assert back["label"].sum() == pytest.approx(table["label"].sum(), rel=1e-5)
    assert sum(len(block) for block in iter_samples(tmp_path)) == len(table)
    assert max(len(block) for block in iter_samples(tmp_path)) <= BLOCK


def test_a_row_keeps_its_place_and_block_in_any_shard(tmp_path):
    table = frame(2 * BLOCK + 500)
    files = write_samples(table, tmp_path, 2)
    whole = read_shard(tmp_path)
    assert whole["block"].tolist() == [i // BLOCK for i in range(len(table))]
    parts = pd.concat([read_shard(tmp_path, file.name) for file in files])
    assert parts.index.tolist() == whole.index.tolist()
    assert parts["sample_id"].equals(whole["sample_id"])
    assert parts["block"].equals(whole["block"])
    with pytest.raises(ValueError, match="no shard 'x'; it has part-00000.parquet, part-00001.parquet"):
        read_shard(tmp_path, "x")


def test_splits_and_columns_are_filtered(tmp_path):
    write_samples(frame(10), tmp_path)
    assert set(read_samples(tmp_path, ["test"])["split"]) == {"test"}
    assert list(read_samples(tmp_path, ["test"], ["sample_id"]).columns) == ["sample_id"]
    some = read_samples(tmp_path)["sample_id"][2:5]
    assert read_samples(tmp_path, ids=some)["sample_id"].tolist() == some.tolist()


def test_a_repeated_id_is_refused(tmp_path):
    with pytest.raises(ValueError, match="occurs twice"):
        write_samples(pd.concat([frame(4), frame(4)]), tmp_path)


def test_a_folder_without_shards_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        shard_files(tmp_path)


def test_hash_unit_is_uniform_and_salted():
    values = [str(i) for i in range(20_000)]
    places = hash_unit(values, "salt")
    assert places.min() >= 0
    assert places.max() < 1
    counts = np.histogram(places, bins=20, range=(0, 1))[0]
    assert abs(counts - 1000).max() < 150  # 4.8 standard deviations of a binomial
    assert abs(np.corrcoef(places, hash_unit(values, "other"))[0, 1]) < 0.03


def test_relevance_is_the_grade_where_there_is_one():
    table = pd.DataFrame({"label": [0.5, 0.25], "grade": [2.0, np.nan]})
    assert relevance(table).tolist() == [2.0, 0.25]
    assert relevance(table[["label"]]).tolist() == [0.5, 0.25]
