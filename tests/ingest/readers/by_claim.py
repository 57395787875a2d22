"""How tests read files: as `ingest` does, by claim."""

from pathlib import Path

from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.known import claimed, gathered
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.tables import Tables


def read(*files: Path) -> tuple[Tables, Ledger, list[str]]:
    """(tables, ledger, names of the readers)."""
    ledger, claims = Ledger(), claimed([Source(str(file)) for file in files])
    return gathered(claims, ledger), ledger, [one.reader.name for one in claims]


def written(folder: Path, name: str, text: str | bytes) -> Path:
    """A file with these contents."""
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file
