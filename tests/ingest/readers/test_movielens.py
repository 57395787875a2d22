"""MovieLens in its four layouts."""

import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.published_shop import FILES
from tests.ingest.readers.reading import filled, read

CHILDREN = "Toy Story (1995) Animation Children's Comedy"


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("movielens_ratings", ("196", "242", 3.0, "1997-12-04T15:55:49.000000Z")),
        ("movielens_ratings/1m", ("1", "1193", 5.0, "2000-12-31T22:12:40.000000Z")),
        ("movielens_ratings/20m", ("1", "2", 3.5, "2005-04-02T23:53:47.000000Z")),
    ],
)
def test_ratings_are_events(tmp_path, name, first):
    tables, _, _ = read(*FILES[name](tmp_path))
    row = filled(tables["events"])[0]
    assert (row["user_id"], row["item_id"], row["value"], row["timestamp"]) == first
    assert (row["action"], row["row"]) == ("rating", 1)


@pytest.mark.parametrize(
    ("name", "text", "category"),
    [
        ("movielens_movies", CHILDREN, "Animation|Children's|Comedy"),
        (
            "movielens_movies/1m",
            "Toy Story (1995) Animation Children's Comedy",
            "Animation|Children's|Comedy",
        ),
        ("movielens_movies/20m", "Toy Story (1995) Adventure Comedy", "Adventure|Comedy"),
    ],
)
def test_movies_are_items(tmp_path, name, text, category):
    tables, _, _ = read(*FILES[name](tmp_path))
    assert filled(tables["items"])[0] == {"row": 1, "item_id": "1", "text": text, "category": category}


def test_a_film_without_genres_has_no_category(tmp_path):
    tables, _, _ = read(*FILES["movielens_movies/20m"](tmp_path))
    assert filled(tables["items"])[1] == {"row": 2, "item_id": "11", "text": "American President, The (1995)"}


def test_titles_in_latin_1_and_with_quotes_and_colons(tmp_path):
    lines = [
        *[f"{i}::Old (1990)::War" for i in range(100, 106)],
        "1::Toy Story (1995)::Comedy",
        '2::"Great" Cats: A Story (1998)::Drama',
        "73::Misérables, Les (1995)::Drama",
    ]
    (tmp_path / "movies.dat").write_bytes(("\n".join(lines) + "\n").encode("latin-1"))
    tables, _, _ = read(tmp_path / "movies.dat")
    assert tables["items"]["text"].to_list()[6:] == [
        "Toy Story (1995) Comedy", '"Great" Cats: A Story (1998) Drama', "Misérables, Les (1995) Drama",
    ]  # fmt: skip


def test_ratings_are_no_qrels_and_qrels_no_ratings(tmp_path):
    (tmp_path / "qrels").write_text("1\t0\t3\t2\n1\t0\t4\t1\n2\t0\t5\t0\n")
    assert [one.reader.name for one in read(tmp_path / "qrels")[2]] == ["trec_qrels"]
    assert [one.reader.name for one in read(*FILES["movielens_ratings"](tmp_path))[2]] == [
        "movielens_ratings"
    ]


def test_a_line_cut_in_the_middle_has_its_number(tmp_path):
    (tmp_path / "ratings.dat").write_text("1::1193::5::978300760\n" * 99 + "1::11")
    with pytest.raises(BadInput, match=r"ratings\.dat, line 100: 2 cells, where a line has 4"):
        read(tmp_path / "ratings.dat")
