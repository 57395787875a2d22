"""The journal and the files made of it: whole lines, one owner, the same file whoever publishes it."""

import resource
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from assay.components.core.errors import BadInput
from assay.serving.feedback.journal import SEGMENT_BYTES, Journal
from assay.serving.feedback.publishing import Folder
from assay.serving.feedback.records import Event, line_of_event


def line(number: int) -> bytes:
    event = Event("click", f"p{number}", query_id="q")
    return line_of_event(event, f"e{number}", 1_700_000_000_000, lambda value: None)


def ids(folder) -> list[str]:
    rows = pq.read_table(folder).to_pylist() if any(folder.iterdir()) else []
    return [row["event_attributes"]["event_id"] for row in rows]


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "journal", rows=3)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "feedback").mkdir()
    return Folder(str(tmp_path / "feedback"))


def test_segments_are_sealed_by_rows_and_by_size(journal):
    for number in range(7):
        journal.append(line(number), 1)
    assert len(journal.sealed()) == 2
    journal.append(b" " * SEGMENT_BYTES, 1)
    assert len(journal.sealed()) == 3
    assert journal.idle


@pytest.mark.parametrize("fsync", [False, True])
def test_a_torn_tail_is_cut(tmp_path, folder, fsync):
    journal = Journal(tmp_path / "journal", fsync)
    journal.open()
    journal.append(line(1) + line(2), 2)
    journal.append(line(3)[:-9], 1)
    journal.seal()
    (segment,) = journal.sealed()
    assert folder.publish(segment)
    assert ids(tmp_path / "feedback") == ["e1", "e2"]
    journal.append(line(4)[:5], 1)
    journal.seal()
    (segment,) = journal.sealed()
    assert not folder.publish(segment)
    assert journal.sealed() == []
    # Nobody was told of them: nothing is damaged.
    assert list(tmp_path.rglob("*.damaged")) == []
    journal.close()


def test_published_twice_it_is_one_file(tmp_path, journal, folder):
    """As when a process ends between the two steps of publishing."""
    for number in range(3):
        journal.append(line(number), 1)
    (segment,) = journal.sealed()
    content = segment.read_bytes()
    folder.publish(segment)
    (file,) = (tmp_path / "feedback").iterdir()
    before = file.read_bytes()
    (tmp_path / "feedback" / f".{file.name}.partial").write_bytes(before[:50])
    segment.write_bytes(content)
    folder.publish(segment)
    assert [path.name for path in (tmp_path / "feedback").iterdir()] == [file.name]
    assert file.read_bytes() == before


def test_what_is_no_json_takes_nothing_with_it(tmp_path, journal, folder):
    """A loss of power can leave anything."""
    journal.append(line(1) + b"\x00\x00\x00\n" + b'{"position":[}\n[1]\n' + line(2), 4)
    (segment,) = journal.sealed()
    folder.publish(segment)
    assert ids(tmp_path / "feedback") == ["e1", "e2"]
    assert (tmp_path / "journal" / f"{segment.stem}.damaged").exists()


def test_two_that_live_leave_each_other_alone(tmp_path, journal):
    journal.append(line(1), 1)
    other = Journal(tmp_path / "journal")
    other.open()
    assert other.sealed() == []
    assert other.adopt() == 0
    assert journal.folder != other.folder
    other.close()
    assert not other.folder.exists()
    journal.append(line(2), 1)
    assert journal.size() == len(line(1) + line(2))


def test_what_a_dead_one_left_is_taken_over_once(tmp_path, journal, folder):
    """Its lock is the kernel's to give back; names of its segments, and so of their files, stay."""
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom assay.serving.feedback.journal import Journal\n"
        "from tests.serving.feedback.test_journal import line\n"
        "one = Journal(Path(sys.argv[1]), rows=2)\none.open()\n"
        "for number in range(5):\n    one.append(line(number), 1)\n"
        "print(one.writer, flush=True)\nsys.stdin.read(1)\nos.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "journal")]
    dead = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert dead.stdin is not None
    assert dead.stdout is not None
    writer = dead.stdout.readline().strip()
    assert journal.adopt() == 0
    dead.communicate("-")
    assert dead.returncode == -9
    # A folder of one that was killed before it had a lock.
    (tmp_path / "journal" / "0").mkdir()
    assert journal.adopt() == 3
    assert journal.adopt() == 0
    assert not (tmp_path / "journal" / writer).exists()
    assert not (tmp_path / "journal" / "0").exists()
    for segment in journal.sealed():
        assert f"-{writer}-" in segment.name
        folder.publish(segment)
    assert sorted(ids(tmp_path / "feedback")) == [f"e{number}" for number in range(5)]


def test_a_line_that_does_not_fit_leaves_no_half(tmp_path, journal, folder):
    """The kernel takes a part of it and then no more, as on a full disk."""
    journal.append(line(1), 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(line(1)) + 20, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            journal.append(line(2), 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    journal.append(line(3), 1)
    journal.seal()
    first, second = journal.sealed()
    assert first.read_bytes() == line(1)
    folder.publish(first)
    folder.publish(second)
    assert ids(tmp_path / "feedback") == ["e1", "e3"]


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("-")
    with pytest.raises(BadInput, match=r"journal .*file/journal cannot be written: Not a directory; name"):
        Journal(tmp_path / "file" / "journal").open()
    with pytest.raises(BadInput, match=r"FOLDER=.*file/feedback cannot be written: Not a directory; name"):
        Folder(str(tmp_path / "file" / "feedback")).check()
    with pytest.raises(BadInput, match="FOLDER=gopher://x/y: ") as refused:
        Folder("gopher://key:secret@x/y?z=1")
    assert "secret" not in str(refused.value)
    assert Folder("s3://key:secret@logs/a?region=eu-west-1").name == "s3://logs/a"
