"""One file of records: it is appended to by one process, and read by whoever has its lock.

A record is one line: its state, the CRC-32 of the rest as 8 hexadecimal digits, a space, the Unix
time in seconds, a space, and JSON. The state is `+` while the record waits and `-` once it is done;
that one byte is overwritten in place, because a full disk has no room for a second file. A process
may end while it writes: a last line without its line feed is torn, and was promised to nobody.

The lock is a flock, which the kernel releases when a process ends, however it ends.
"""

import fcntl
import os
import secrets
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

WAITING, DONE = b"+", b"-"
SUFFIX, DAMAGED = ".records", ".damaged"
MAX_BYTES = 64 * 1024 * 1024  # After this, a process begins another file.


@dataclass(frozen=True, slots=True)
class Record:
    """A record that waits. `offset` is the place of its line in the file, in bytes."""

    offset: int
    since: int
    text: str


@dataclass(slots=True)
class Found:
    """What a file has besides its records: bytes of a torn last line, and unreadable lines."""

    torn: int = 0
    damaged: int = 0


def encode_record(text: str, *, since: int) -> bytes:
    """Return the line of a record. Raises ValueError if the text has a line feed."""
    if "\n" in text:
        raise ValueError("a record is one line")
    rest = b"%010d " % since + text.encode()
    return WAITING + b"%08x " % zlib.crc32(rest) + rest + b"\n"


def read_records(file: BinaryIO, found: Found, *, end: int | None = None) -> Iterator[Record]:
    """Yield the records that wait, line by line; note the rest in `found`.

    `end` is the place in bytes at which the file ends for this reader.
    """
    offset = 0
    for line in file:
        if end is not None and offset >= end:
            return
        if not line.endswith(b"\n"):
            found.torn = len(line)
        elif not _is_whole(line):
            found.damaged += 1
        elif line.startswith(WAITING):
            yield Record(offset, int(line[10:20]), line[21:-1].decode())
        offset += len(line)


def _is_whole(line: bytes) -> bool:
    return line[:1] in (WAITING, DONE) and line[1:10] == b"%08x " % zlib.crc32(line[10:-1])


class SpoolFile:
    """A file whose lock this process has."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._end = os.fstat(descriptor).st_size  # after the last whole record

    @classmethod
    def create(cls, folder: Path) -> "SpoolFile":
        """Make an empty file with a name of its own. Raises OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            path = folder / f"{int(time.time())}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            if _lock(descriptor, fcntl.LOCK_EX):
                break
        _flush_folder(folder)
        return cls(path, descriptor)

    @classmethod
    def adopt(cls, path: Path) -> "SpoolFile | None":
        """Take the file of a process that has ended; None if its process, or another heir, has it.

        Raises OSError.
        """
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        return cls(path, descriptor) if _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB) else None

    @property
    def is_full(self) -> bool:
        return self._end >= MAX_BYTES

    def append(self, text: str) -> None:
        """Write a record through to the disk. Raises OSError; the file is then as before."""
        line = encode_record(text, since=int(time.time()))
        try:
            if os.fstat(self._descriptor).st_size != self._end:
                os.ftruncate(self._descriptor, self._end)  # what a failed write has left
            _write_all(self._descriptor, line, self._end)
            os.fsync(self._descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._end)
            raise
        self._end += len(line)

    def read(self, found: Found) -> Iterator[Record]:
        """Yield the records that wait now. Raises OSError."""
        with self.path.open("rb") as file:
            yield from read_records(file, found, end=self._end)

    def mark_done(self, record: Record) -> None:
        """Note that a record need not be read again. Raises OSError.

        The mark may be lost with the machine, so that doing a record twice has to be harmless.
        """
        os.pwrite(self._descriptor, DONE, record.offset)

    def remove(self) -> None:
        """Delete the file, whose records are all done, and give its lock back. Raises OSError."""
        self.path.unlink(missing_ok=True)
        self.close()

    def set_aside(self) -> None:
        """Rename a file with damaged lines, so that a person can look at it. Raises OSError."""
        self.path.rename(self.path.with_suffix(DAMAGED))
        self.close()

    def close(self) -> None:
        """Give the lock back."""
        os.close(self._descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    """Lock a file; False, and closed, if another process has it or has deleted it meanwhile."""
    try:
        fcntl.flock(descriptor, kind)
        if os.fstat(descriptor).st_nlink:
            return True
    except BlockingIOError:
        pass
    os.close(descriptor)
    return False


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write all bytes; a disk that fills up takes a part first, and refuses the next."""
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


def _flush_folder(folder: Path) -> None:
    """Make the name of a new file as durable as its bytes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
