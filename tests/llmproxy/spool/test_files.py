"""A record that was kept is found again, after the end of its process at any byte."""

import io
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.spool import folder
from llmproxy.spool.files import Found, SpoolFile, encode_record, read_records

LETTERS = st.characters(exclude_characters="\n", exclude_categories=["Cs"])
TEXTS = st.lists(st.text(alphabet=LETTERS), max_size=5)


def read_texts(data: bytes, found: Found | None = None) -> list[str]:
    return [record.text for record in read_records(io.BytesIO(data), found or Found())]


def take_all() -> list[str]:
    """Process all records that wait; return their texts."""
    taken: list[str] = []

    def take(record: Any) -> bool:
        taken.append(record.text)
        return True

    assert folder.process_records(take) == 0
    return taken


@given(texts=TEXTS, data=st.data())
def test_a_file_cut_at_any_byte_has_exactly_the_records_before(
    texts: list[str], data: st.DataObject
) -> None:
    lines = [encode_record(text, since=1) for text in texts]
    cut = data.draw(st.integers(0, sum(map(len, lines))))
    ends = [sum(map(len, lines[: number + 1])) for number in range(len(lines))]
    found = Found()
    kept = read_texts(b"".join(lines)[:cut], found)
    assert kept == [text for text, end in zip(texts, ends, strict=True) if end <= cut]
    assert found.damaged == 0
    assert bool(found.torn) == (cut not in (0, *ends))


@given(texts=TEXTS, data=st.data())
def test_a_changed_byte_harms_no_other_record(texts: list[str], data: st.DataObject) -> None:
    lines = bytearray(b"".join(encode_record(text, since=1) for text in texts))
    if not lines:
        return
    place = data.draw(st.integers(0, len(lines) - 1))
    lines[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != lines[place]))
    kept = read_texts(bytes(lines))
    assert len(kept) >= len(texts) - 2  # a line feed that changed joins two
    assert all(text in texts for text in kept)


def test_what_is_done_is_not_found_again(spool: Path) -> None:
    for text in ("one", "two", "three"):
        folder.keep(text)
    assert folder.process_records(lambda record: record.text == "two") == 2
    assert folder.count_waiting().records == 2
    assert take_all() == ["one", "three"]
    assert not folder.list_files()


def test_a_record_kept_while_others_are_processed_stays(spool: Path) -> None:
    folder.keep("one")

    def process(record: Any) -> bool:
        if record.text == "one":
            folder.keep("two")
        return True

    assert folder.process_records(process) == 0
    assert folder.count_waiting().records == 1
    assert take_all() == ["two"]


def test_the_folder_and_its_files_are_for_nobody_else(spool: Path) -> None:
    folder.keep("one")
    assert [oct(path.stat().st_mode & 0o777) for path in (spool, *folder.list_files())] == [
        "0o700",
        "0o600",
    ]


def test_a_disk_that_is_full_midway_leaves_the_records_before(spool: Path) -> None:
    """RLIMIT_FSIZE stands for the disk: a write beyond it is cut short, and the next one fails."""
    folder.keep("one")
    (path,) = folder.list_files()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            folder.keep("two" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    folder.keep("three")
    assert take_all() == ["one", "three"]


def test_what_a_failed_write_left_is_cut_off_before_the_next(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.keep("one")
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("no space")))
        broken.setattr(os, "ftruncate", lambda *_: (_ for _ in ()).throw(OSError("no space")))
        with pytest.raises(OSError, match="no space"):
            folder.keep("two")
    folder.keep("three")
    assert take_all() == ["one", "three"]


def test_a_torn_end_does_not_keep_a_file(spool: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool.mkdir()
    whole = encode_record("one", since=1)
    (spool / "1-1-a.records").write_bytes(whole + encode_record("two", since=2)[:-1])
    assert take_all() == ["one"]
    assert "ends within a record" in caplog.text
    assert not folder.list_files()


def test_a_damaged_record_is_set_aside_and_counted(spool: Path) -> None:
    spool.mkdir()
    lines = encode_record("one", since=1).replace(b"one", b"two") + encode_record("three", since=2)
    (spool / "1-1-a.records").write_bytes(lines)
    assert take_all() == ["three"]
    assert (folder.count_waiting().records, folder.count_waiting().damaged) == (0, 1)


def test_a_file_that_cannot_be_opened_keeps_no_other_one_waiting(spool: Path) -> None:
    (spool / "0-0-a.records").mkdir(parents=True)  # root may open every file, but no folder
    file = SpoolFile.create(spool)
    file.append("one")
    file.close()
    assert (folder.count_waiting().records, folder.count_waiting().damaged) == (1, 1)
    assert take_all() == ["one"]


def test_the_file_of_a_process_that_runs_is_left_to_it(spool: Path) -> None:
    other = SpoolFile.create(spool)
    other.append("theirs")
    folder.keep("ours")
    assert take_all() == ["ours"]
    assert folder.count_waiting().records == 1
    other.close()  # as when the process ends
    assert take_all() == ["theirs"]


def test_many_heirs_take_each_record_once(spool: Path) -> None:
    for number in range(20):
        file = SpoolFile.create(spool)
        file.append(f"record {number}")
        file.close()
    with ThreadPoolExecutor(8) as pool:
        taken = [pool.submit(take_all) for _ in range(8)]
    texts = [text for each in taken for text in each.result()]
    assert sorted(texts) == sorted(f"record {number}" for number in range(20))


def test_a_full_file_is_followed_by_another(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmproxy.spool.files.MAX_BYTES", 100)
    for number in range(20):
        folder.keep(f"record {number}")
    assert len(folder.list_files()) >= 4
    assert take_all() == [f"record {number}" for number in range(20)]


FILLER = """
import sys
from pathlib import Path
from llmproxy.spool.files import Found, SpoolFile
folder = Path(sys.argv[1])
ballast = folder / "ballast"
ballast.write_bytes(bytes(64 * 1024))
file, kept, refused = SpoolFile.create(folder), 0, 0
while refused < 3:
    try:
        file.append(f"{kept} " + "x" * 7000)
        kept += 1
    except OSError as error:
        assert error.errno == 28, error
        refused += 1
        if refused == 2:
            ballast.unlink()
file.close()
print(kept)
print([record.text.split()[0] for record in SpoolFile.adopt(file.path).read(Found())])
"""


def test_a_small_disk_that_fills_up_and_is_freed_has_all_that_it_took(tmp_path: Path) -> None:
    mount = 'mount -t tmpfs -o size=128k tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "--mount", "sh", "-c", mount, "sh", str(tmp_path)]
    if os.getuid() or not shutil.which("unshare"):
        pytest.skip("only root can mount a small disk")
    command += [sys.executable, FILLER]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "mount" in done.stderr:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    kept, numbers = done.stdout.splitlines()
    assert numbers == str([str(number) for number in range(int(kept))])
    assert int(kept) > 10


WRITER = """
import sys
from pathlib import Path
from llmproxy.spool.files import SpoolFile
file = SpoolFile.create(Path(sys.argv[1]))
number = 0
while True:
    file.append(f"{number} " + "x" * (number * 7919 % 20000))
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("seconds", [0.02, 0.05, 0.11])
def test_a_process_killed_while_it_writes_loses_nothing_that_it_kept(
    spool: Path, seconds: float
) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, spool], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    time.sleep(seconds)
    writer.kill()
    said = [0, *map(int, writer.stdout.read().split())]
    writer.wait()
    kept = [int(text.split()[0]) for text in take_all()]
    assert kept[: len(said)] == said  # and perhaps one more, whose promise was not given
    assert len(kept) - len(said) in (0, 1)
