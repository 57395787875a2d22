"""Scores that were measured before: a folder of parts that are only ever added to.

What is kept of a row is a function of the row, its label and weight, the ranker that scored it, the target,
and the method's version; of each of them the store's keys hold a digest. So that new rows are measured as the
old ones were, the training rows on which a ranker's methods are fitted and checked are kept too, and the way
each derivative was taken. Whoever writes first is believed; nothing that is there is ever written again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from assay.components.core.samples import text_id

KEY = ["sample_id", "row"]
FORMAT = "1"


class ScoreStore:
    """A folder: `<ranker, target and seed>/` holds `part-*.parquet`, `reference.parquet` and `ways/`.

    Args:
        folder: Made at the first write.
        target: Trusted rows that scores are computed against.
        seed: Of what methods draw.
        versions: {method: version}; `logit` counts as a method.
    """

    def __init__(
        self, folder: str | Path, target: pd.DataFrame, seed: int, versions: Mapping[str, str]
    ) -> None:
        self.folder = Path(folder)
        self.about = [FORMAT, target_digest(target), str(seed)]
        self.versions = dict(versions)

    def known(self, ranker: str, samples: pd.DataFrame, names: list[str]) -> pd.DataFrame:
        """What was measured of some rows before.

        Args:
            ranker: Digest of the ranker that scores them.
            samples: (n,) columns sample_id, label, weight.
            names: Columns wanted: methods, `logit`.

        Returns:
            (n, names) float64, NaN where nothing is known; index 0..n-1.
        """
        wanted = [f"{name}@{self.versions[name]}" for name in names]
        keys = pd.MultiIndex.from_arrays([samples["sample_id"].to_numpy(dtype=object), row_digests(samples)])
        tables = []
        for file in sorted(self._place(ranker).glob("part-*.parquet")):
            table = pd.read_parquet(file).set_index(KEY)
            table = table[[column for column in wanted if column in table]]
            tables.append(table[table.index.isin(keys)])
        if not tables:
            return pd.DataFrame(np.nan, index=range(len(samples)), columns=names)
        # The first part that knows a number is the one it has been returned from ever since.
        first = pd.concat(tables).groupby(level=KEY, sort=False).first()
        return (
            first.reindex(index=keys, columns=wanted)
            .astype(np.float64)
            .set_axis(names, axis=1)
            .reset_index(drop=True)
        )

    def add(self, ranker: str, samples: pd.DataFrame, values: pd.DataFrame) -> Path | None:
        """Add a part with what is new; the parts that are there stay as they are.

        Args:
            ranker: Digest of the ranker that scored the rows.
            samples: (n,) columns sample_id, label, weight.
            values: (n, names) float64; NaN where a number was known already. Rows of NaN alone are left out.

        Returns:
            The part; None where nothing is new.
        """
        new = values.notna().any(axis=1).to_numpy()
        if not new.any():
            return None
        table = values[new].reset_index(drop=True)
        table.columns = [f"{name}@{self.versions[name]}" for name in table]
        table.insert(0, "sample_id", samples["sample_id"].to_numpy(dtype=object)[new])
        table.insert(1, "row", row_digests(samples)[new])
        place = self._place(ranker)
        count = len(list(place.glob("part-*.parquet")))

        def write(beside: Path) -> str:
            table.to_parquet(beside, index=False)
            return f"part-{count:06d}-{hashlib.sha256(beside.read_bytes()).hexdigest()[:16]}.parquet"

        return _once(place, write)

    def reference(self, ranker: str, draw: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """The training rows that a ranker's methods are fitted and checked on: those drawn first."""
        file = self._place(ranker) / "reference.parquet"
        if not file.is_file():
            drawn = draw()

            def write(beside: Path) -> str:
                drawn.to_parquet(beside, index=False)
                return file.name

            _once(file.parent, write)
        return pd.read_parquet(file)

    def ways(self, ranker: str) -> dict[tuple[str, str], dict[str, Any]]:
        """{(method, group of the target): how its derivative is taken}, of methods of these versions."""
        found = {}
        for file in sorted((self._place(ranker) / "ways").glob("*.json")):
            kept = json.loads(file.read_text())
            if self.versions.get(kept["method"]) == kept["version"]:
                found[kept["method"], kept["group"]] = kept["way"]
        return found

    def keep_way(self, ranker: str, method: str, group: str, way: dict[str, Any]) -> None:
        """Keep how a derivative was taken, unless one is kept already."""
        version = self.versions[method]
        kept = {"method": method, "version": version, "group": group, "way": way}

        def write(beside: Path) -> str:
            beside.write_text(json.dumps(kept, allow_nan=False) + "\n")
            return f"{method}@{version[:16]}-{text_id(group + version)[:16]}.json"

        _once(self._place(ranker) / "ways", write)

    def _place(self, ranker: str) -> Path:
        return self.folder / _digest([*self.about, ranker])


def target_digest(target: pd.DataFrame) -> str:
    """Digest of what the scores see of the target: ids (which hold the texts), labels and groups."""
    lines = target[["sample_id", "label", "segment", "task"]].sort_values("sample_id")
    return _digest(["\0".join(map(str, line)) for line in lines.itertuples(index=False)])


def row_digests(samples: pd.DataFrame) -> np.ndarray:
    """(n,) digests of label and weight: a corrected label is another row."""
    both = samples[["label", "weight"]].to_numpy(dtype="<f4")
    return np.asarray(
        [hashlib.blake2b(row.tobytes(), digest_size=8).hexdigest() for row in both], dtype=object
    )


def _digest(parts: list[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()


def _once(folder: Path, write: Callable[[Path], str]) -> Path:
    """Write a file beside its place and link it there, unless another process was first.

    Args:
        folder: Where; made if missing.
        write: Fills the file and says its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".{os.getpid()}-{os.urandom(8).hex()}"
    try:
        place = folder / write(beside)
        try:
            # A link, unlike a rename, never takes the place of a file that is there.
            os.link(beside, place)
        except FileExistsError:
            pass
        except OSError:
            # Some mounts know no links; there, two that write at once may still differ in who is believed.
            if not place.exists():
                os.replace(beside, place)
    finally:
        beside.unlink(missing_ok=True)
    return place
