"""The spool of this machine: the files of its processes in the folder SPOOL_DIR.

Each process appends to a file of its own. The files of processes that have ended are taken over by
whoever looks first: a worker that starts, a worker that settles what is its own, or `tick`.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from llmproxy.spool.files import DAMAGED, SUFFIX, Found, Record, SpoolFile, read_records

logger = logging.getLogger(__name__)

_guard = threading.Lock()
_own: list[SpoolFile] = []  # of this process, the one that is appended to last
on_keep: list[Callable[[], None]] = []  # called after a record was kept


@dataclass(slots=True)
class Waiting:
    """How many records wait, since when (Unix time in seconds), and how many files are damaged.

    A file that cannot be opened counts as damaged.
    """

    records: int = 0
    since: int | None = None
    damaged: int = 0


def keep(text: str) -> None:
    """Write a record through to the disk. Raises OSError: then it is not kept."""
    with _guard:
        if not _own or _own[-1].is_full:
            _own.append(SpoolFile.create(get_folder()))
        _own[-1].append(text)
    for call in on_keep:
        call()


def get_folder() -> Path:
    return Path(settings.SPOOL_DIR)


def list_files(suffix: str = SUFFIX) -> list[Path]:
    """Return the files in the folder, the oldest first; none if there is no folder."""
    return sorted(get_folder().glob(f"*{suffix}"))


def process_records(process: Callable[[Record], bool]) -> int:
    """Call `process` with each record that waits; return how many wait still.

    `process` returns whether the record is done, and does no harm if the same record comes again.
    What it raises ends the round. The files of processes that run are left to them.
    """
    left = 0
    for file in _open_files():
        try:
            left += _process_file(file, process)
        finally:
            _let_go(file)
    return left


def _open_files() -> Iterator[SpoolFile]:
    with _guard:
        own = list(_own)
    yield from own
    for path in list_files():
        if all(path != file.path for file in own) and (adopted := _adopt(path)):
            yield adopted


def _adopt(path: Path) -> SpoolFile | None:
    """Take a file over; None for one that cannot be opened, so that the others are settled."""
    try:
        return SpoolFile.adopt(path)
    except OSError as error:  # for example, it belongs to another account
        logger.critical("%s cannot be opened: %s", path.name, error)
        return None


def _process_file(file: SpoolFile, process: Callable[[Record], bool]) -> int:
    left, found = 0, Found()
    for record in file.read(found):
        if process(record):
            file.mark_done(record)
        else:
            left += 1
    if found.torn:
        logger.warning("%s ends within a record, which nobody was promised", file.path.name)
    return left


def _let_go(file: SpoolFile) -> None:
    """Delete the file if all its records are done; else keep ours, and unlock that of another."""
    with _guard:
        is_own, found = file in _own, Found()
        if any(True for _ in file.read(found)):
            if not is_own:
                file.close()
            return
        if is_own:
            _own.remove(file)
        if found.damaged:
            logger.critical("%s has %s damaged records", file.path.name, found.damaged)
            file.set_aside()
        else:
            file.remove()


def has_own() -> bool:
    """True if this process has a file, and so perhaps a record, of its own."""
    return bool(_own)


def has_records() -> bool:
    """True if there is a file, of whichever process."""
    return bool(list_files())


def count_waiting() -> Waiting:
    """Count what waits in all files, also in those of processes that run. Takes no lock."""
    waiting = Waiting(damaged=len(list_files(DAMAGED)))
    for path in list_files():
        try:
            _count_file(path, waiting)
        except FileNotFoundError:
            continue  # its last record has just been settled
        except OSError:
            waiting.damaged += 1
    return waiting


def _count_file(path: Path, waiting: Waiting) -> None:
    with path.open("rb") as file:
        for record in read_records(file, Found()):
            waiting.records += 1
            waiting.since = min(waiting.since or record.since, record.since)


def release_files() -> None:
    """Give the files of this process to the others, as its end would."""
    with _guard:
        while _own:
            _own.pop().close()
