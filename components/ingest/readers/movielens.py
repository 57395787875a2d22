"""MovieLens (Harper and Konstan 2015): 100k (tabs and bars), 1M and 10M (`::`), 20M and later (csv)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import moment, number, placed
from assay.components.ingest.readers.lines import cells, rows_of_cells
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.readers.values import joined_text

_NAMES = ("userId", "movieId", "rating", "timestamp")
_MOVIE = ("movieId", "title", "genres")
_RATING = re.compile(r"[0-5](\.\d+)?")
_GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *(
        "Fantasy",
        "Film-Noir",
        "Horror",
        "Musical",
        "Mystery",
        "Romance",
        "Sci-Fi",
        "Thriller",
        "War",
        "Western",
    ),
)
"""Of the last 19 cells of u.item, as u.genre lists them."""
_ITEM = (*_MOVIE[:2], "released", "released_video", "url", *_GENRES)


def _is_rating_line(line: list[str]) -> bool:
    # The size of the last cell is what tells it from qrels, whose last is a grade.
    user, movie, rating, time = line if len(line) == 4 else ("",) * 4
    return (
        (user + movie).isdecimal()
        and bool(_RATING.fullmatch(rating))
        and bool(re.fullmatch(r"\d{9,10}", time))
    )


def _mark(source: Source) -> str:
    """What cuts a line of ratings; "" if it is no text file of ratings."""
    for mark in ("::", "\t"):
        lines = cells(source, mark)
        if lines and all(map(_is_rating_line, lines)):
            return mark
    return ""


def _movie_mark(source: Source) -> str:
    for mark, count in (("::", len(_MOVIE)), ("|", len(_ITEM))):
        lines = cells(source, mark)
        if lines and all(len(line) == count and line[0].isdecimal() for line in lines):
            # A movie has a title; users.dat of three cells there is none.
            return mark if all(not line[1].isdecimal() for line in lines) else ""
    return ""


def _is_ratings(source: Source) -> str | None:
    if source.has(*_NAMES):
        return f"columns {', '.join(_NAMES)}"
    mark = _mark(source)
    return f"user, movie, rating of 0 to 5 and seconds, cut at {mark!r}" if mark else None


def _is_movies(source: Source) -> str | None:
    if source.has(*_MOVIE):
        return f"columns {', '.join(_MOVIE)}"
    mark = _movie_mark(source)
    return f"movie, title and genres, cut at {mark!r}" if mark else None


def _read_ratings(source: Source, ledger: Ledger) -> Chunks:
    lined = rows_of_cells(source, _mark(source), _NAMES, latin=True)
    for chunk in records(source, _NAMES) if source.has(*_NAMES) else lined:
        yield placed(
            "events",
            chunk.select(
                "row",
                pl.col("userId").alias("user_id"),
                pl.col("movieId").alias("item_id"),
                number(chunk, "rating", source, ledger).alias("value"),
                moment(chunk, "timestamp", source, ledger).alias("timestamp"),
                action=pl.lit("rating"),
            ),
            source,
        )


def _read_movies(source: Source, ledger: Ledger) -> Chunks:
    """Text: title, genres. Titles of 100k and 1M are Latin-1."""
    for chunk in _movies(source):
        genres = pl.col("genres").replace("(no genres listed)", None)
        movies = chunk.with_columns(
            category=genres, words=genres.str.replace_all("|", " ", literal=True)
        ).with_columns(text=joined_text("title", "words"))
        yield placed(
            "items", movies.select("row", pl.col("movieId").alias("item_id"), "text", "category"), source
        )


def _movies(source: Source) -> Iterator[pl.DataFrame]:
    if source.has(*_MOVIE):
        yield from records(source, _MOVIE)
        return
    mark = _movie_mark(source)
    for chunk in rows_of_cells(source, mark, _MOVIE if mark == "::" else _ITEM, latin=True):
        if mark == "|":
            named = [pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in _GENRES]
            chunk = chunk.with_columns(genres=pl.concat_str(named, separator="|", ignore_nulls=True))
        yield chunk


RATINGS = Reader(
    "movielens_ratings", "MovieLens ratings: u.data, ratings.dat, ratings.csv", _is_ratings, _read_ratings
)
MOVIES = Reader(
    "movielens_movies", "MovieLens movies: u.item, movies.dat, movies.csv", _is_movies, _read_movies
)
