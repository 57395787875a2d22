"""A small file of each format in its published layout, written by us: {reader: what writes its files}.

Each has six records or more, so that the last one is beyond what a reader claims a file by.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import polars as pl


def jsonl(file: Path, records: Iterable[object]) -> Path:
    file.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    return file


def table(file: Path, header: Sequence[str], records: Iterable[Sequence[object]], tab: bool = False) -> Path:
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t" if tab else ",", lineterminator="\n")
        writer.writerows([header, *records])
    return file


def ubi_query(n: int, hits: Sequence[str]) -> dict:
    return {
        "application": "shop",
        "query_id": f"q{n}",
        "client_id": f"c{n % 3}",
        "user_query": f"laptop {n}",
        "query": '{"query": {"match_all": {}}}',
        "query_attributes": {"experiment": "a"},
        "object_id_field": "sku",
        "timestamp": f"2025-03-01T10:0{n}:00.000Z",
        "query_response_id": f"r{n}",
        "query_response_hit_ids": list(hits),
    }


def ubi_event(n: int, action: str = "click", **more: object) -> dict:
    return {
        "application": "shop",
        "action_name": action,
        "query_id": f"q{n}",
        "session_id": f"s{n}",
        "client_id": f"c{n % 3}",
        "timestamp": f"2025-03-01T10:0{n}:30.000Z",
        "message_type": "INFO",
        "message": "",
        "user_query": f"laptop {n}",
        "event_attributes": {
            "object": {
                "object_id": f"p{n}",
                "object_id_field": "sku",
                "name": f"Laptop {n}",
                "description": "thin, light",
            },
            "position": {"ordinal": n},
        },
    } | more


def ubi(folder: Path) -> list[Path]:
    return [
        jsonl(folder / "ubi_queries.jsonl", (ubi_query(n, ["p1", "p2", f"p{n}"]) for n in range(7))),
        jsonl(
            folder / "ubi_events.ndjson", (ubi_event(n, "impression" if n < 2 else "click") for n in range(7))
        ),
    ]


def metarank(folder: Path) -> list[Path]:
    field = lambda **values: [{"name": name, "value": value} for name, value in values.items()]  # noqa: E731
    ranking = {
        "event": "ranking",
        "id": "r1",
        "timestamp": "1599391467000",
        "user": "u1",
        "session": "s1",
        "fields": field(query="cat", source="search"),
        "items": [{"id": "i1", "relevancy": 2.0}, {"id": "i2", "relevancy": 1}],
    }
    click = {
        "event": "interaction",
        "id": "e1",
        "ranking": "r1",
        "timestamp": "1599391468000",
        "user": "u1",
        "session": "s1",
        "type": "click",
        "item": "i2",
        "fields": field(count=1),
    }
    item = {
        "event": "item",
        "id": "m1",
        "timestamp": "1599391467000",
        "item": "i1",
        "fields": field(
            title="Your favourite cat", color=["white", "black"], is_cute=True, price=12.5, mood="calm"
        ),
    }
    user = {"event": "user", "id": "v1", "timestamp": "1599391467000", "user": "u1", "fields": field(age=33)}
    events = [item, user, ranking, click, item | {"item": "i2"}, ranking | {"id": "r2"}, click | {"id": "e2"}]
    return [jsonl(folder / "events.jsonl", events)]


ESCI = [
    "example_id",
    "query",
    "query_id",
    "product_id",
    "product_locale",
    "esci_label",
    "small_version",
    "large_version",
    "split",
]


def esci(folder: Path) -> list[Path]:
    examples = pl.DataFrame(
        {
            "example_id": range(7),
            "query": [f"shoes {n // 4}" for n in range(7)],
            "query_id": [n // 4 for n in range(7)],
            "product_id": [f"B{n}" for n in range(7)],
            "product_locale": ["us", "es", "jp", "us", "us", "us", "us"],
            "esci_label": ["E", "S", "C", "I", "E", "E", "S"],
            "small_version": [1] * 7,
            "large_version": [1] * 7,
            "split": ["train"] * 4 + ["test"] * 3,
        }
    ).select(ESCI)
    examples.write_parquet(folder / "shopping_queries_dataset_examples.parquet")
    products = pl.DataFrame(
        {
            "product_id": ["B0", "B0"],
            "product_title": ["Running shoes", "Zapatillas"],
            "product_description": ["<p>For the road.</p>", None],
            "product_bullet_point": ["Light\nSoft", None],
            "product_brand": ["Fleet", "Veloz"],
            "product_color": ["Red", None],
            "product_locale": ["us", "es"],
        }
    )
    products.write_parquet(folder / "shopping_queries_dataset_products.parquet")
    sources = table(
        folder / "shopping_queries_dataset_sources.csv",
        ["query_id", "source"],
        [(n, "behavioral" if n % 2 else "other") for n in range(7)],
    )
    return [
        folder / "shopping_queries_dataset_examples.parquet",
        folder / "shopping_queries_dataset_products.parquet",
        sources,
    ]


def wands(folder: Path) -> list[Path]:
    labels = ("Exact", "Partial", "Irrelevant")
    header = [
        "product_id",
        "product_name",
        "product_class",
        "category hierarchy",
        "product_description",
        "product_features",
        "rating_count",
        "average_rating",
        "review_count",
    ]
    product = (
        "solid wood platform bed",
        "Beds",
        "Furniture / Bedroom Furniture / Beds",
        'good, deep sleep can be had on a 60" bed',
        "overallwidth-sidetoside:64.7|color : natural wood|frame:wood",
        15.0,
        4.5,
        15.0,
    )
    return [
        table(
            folder / "query.csv",
            ["query_id", "query", "query_class"],
            [(n, f"bed {n}", "Beds") for n in range(7)],
            tab=True,
        ),
        table(folder / "product.csv", header, [(n, *product) for n in range(7)], tab=True),
        table(
            folder / "label.csv",
            ["id", "query_id", "product_id", "label"],
            [(n, n // 4, n, labels[n % 3]) for n in range(7)],
            tab=True,
        ),
    ]


def workbench(folder: Path) -> list[Path]:
    judged = [
        {"query": f"tv {q}", "ratings": [{"docId": f"p{n}", "rating": f"{n}.000"} for n in range(4)]}
        for q in range(2)
    ]
    document = {"name": "mine", "type": "IMPORT_JUDGMENT", "judgmentRatings": judged}
    (folder / "judgments.json").write_text(json.dumps(document, indent=1))
    return [folder / "judgments.json"]


def quepid(folder: Path) -> list[Path]:
    return [
        table(
            folder / "ratings.csv",
            ["query", "docid", "rating"],
            [(f"tv {n // 4}", n, n % 4) for n in range(7)],
        )
    ]


def bge(folder: Path) -> list[Path]:
    return [
        jsonl(
            folder / "train.jsonl",
            (
                {
                    "query": f"what is {n}",
                    "pos": [f"{n} is a number"],
                    "neg": [f"{n + 1} is a number", "a cat"],
                    "pos_scores": [0.9],
                    "neg_scores": [0.4, 0.01],
                    "prompt": "Represent this sentence",
                }
                for n in range(7)
            ),
        )
    ]


def letor(folder: Path) -> list[Path]:
    lines = [f"{n % 5} qid:{n // 4} 1:9.83{n} 2:12.31 # 75{n} rambo" for n in range(7)]
    (folder / "movies.txt").write_text("# qid:0: rambo*1\n" + "\n".join(lines) + "\n")
    return [folder / "movies.txt"]


def msrd(folder: Path) -> list[Path]:
    judged = table(
        folder / "movies-judgments.tsv",
        ["query_id", "query", "doc_id", "grade"],
        [(f"qid:{n // 4}", f"lion king {n // 4}", 10_000 + n, n % 2) for n in range(7)],
        tab=True,
    )
    zipped = folder / "movies-judgments.tsv.gz"
    zipped.write_bytes(gzip.compress(judged.read_bytes()))
    judged.unlink()
    corpus = jsonl(
        folder / "movies-corpus.jsonl",
        (
            {
                "id": 10_000 + n,
                "title": f"The Lion King {n}",
                "overview": "A lion cub.",
                "genres": ["Family", "Animation"],
                "actors": ["A", "B"],
                "director": "C",
                "year": 1994,
                "popularity": 61.2,
                "rating": 8.2,
            }
            for n in range(7)
        ),
    )
    return [zipped, corpus]


def beir(folder: Path) -> list[Path]:
    (folder / "qrels").mkdir()
    (folder / "queries.dev.small.tsv").write_text("".join(f'{n}\thow high is "{n}\n' for n in range(7)))
    (folder / "collection.tsv").write_text("".join(f'{n}\t"{n}" is high\n' for n in range(7)))
    (folder / "qrels.dev.small.tsv").write_text("".join(f"{n}\t0\t{n}\t1\n" for n in range(7)))
    return [
        jsonl(
            folder / "corpus.jsonl",
            ({"_id": f"d{n}", "title": f"T{n}", "text": "x y", "metadata": {}} for n in range(7)),
        ),
        jsonl(
            folder / "queries.jsonl",
            ({"_id": f"q{n}", "text": f"what {n}", "metadata": {}} for n in range(7)),
        ),
        table(
            folder / "qrels" / "dev.tsv",
            ["query-id", "corpus-id", "score"],
            [(f"q{n}", f"d{n}", 1) for n in range(7)],
            tab=True,
        ),
        folder / "queries.dev.small.tsv",
        folder / "collection.tsv",
        folder / "qrels.dev.small.tsv",
    ]


def trec_qrels(folder: Path) -> list[Path]:
    (folder / "qrels.txt").write_text("".join(f"q{n // 4} 0 d{n} {n % 3}\n" for n in range(7)))
    return [folder / "qrels.txt"]


def trec_run(folder: Path) -> list[Path]:
    (folder / "run.txt").write_text(
        "".join(f"q{n // 4} Q0 d{n} {n % 4 + 1} {9.5 - n} bm25\n" for n in range(7))
    )
    return [folder / "run.txt"]


FILES: dict[str, Callable[[Path], list[Path]]] = {
    "ubi": ubi,
    "metarank": metarank,
    "esci": esci,
    "wands": wands,
    "msrd": msrd,
    "bge": bge,
    "workbench": workbench,
    "quepid": quepid,
    "beir": beir,
    "letor": letor,
    "trec_qrels": trec_qrels,
    "trec_run": trec_run,
}


def cut(file: Path) -> Path:
    """The file without the end of its last record: text up to the record's first delimiter, else half
    its bytes."""
    data = file.read_bytes()
    if file.suffix in (".parquet", ".gz"):
        file.write_bytes(data[: len(data) // 2])
        return file
    lines = data.rstrip(b"\n").split(b"\n")
    first = min(lines[-1].find(mark) for mark in (b"\t", b",", b" ", b":", b"}") if mark in lines[-1])
    file.write_bytes(b"\n".join([*lines[:-1], lines[-1][:first]]))
    return file
