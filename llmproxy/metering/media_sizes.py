"""Reads how many pages a document has, and how many seconds a recording lasts, from its bytes."""

import re
import zlib
from collections.abc import Iterator

# Bytes of a page or second where the content does not say how many there are: usual, and least.
PAGE_BYTES = (50_000, 2_000)
AUDIO_BYTES = (16_000, 2_000)
VIDEO_BYTES = (250_000, 25_000)
MAX_PAGES = 2000  # no provider takes longer documents

_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_PAGES = re.compile(rb"/Type\s*/Pages\b")
_NUMBER = re.compile(rb"\s+(\d{1,6})")
_STREAM = re.compile(rb"[^>]{0,400}>>\s{0,9}stream\r?\n")
# What is looked at in a file, so that none takes long: its nodes with a count and the bytes around
# each, its compressed streams and the bytes of each, and the bytes of their content in all.
_MAX_COUNTS, _AROUND = 2000, 200
_MAX_STREAMS, _MAX_COMPRESSED = 200, 256 * 1024
_MAX_INFLATED = 1024 * 1024

_WAV_RATES = range(1_000, 2_000_000)  # plausible bytes a second
# Kilobits a second by the index in the header of a frame: MPEG-1 layer 3, and its successors.
_MP3_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_MP3_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)


def count_pages(pdf: bytes) -> int:
    """The pages of a PDF; 0 if it does not say, because it is encrypted or no PDF.

    Source: ISO 32000-1, 7.5.7 "Object streams" and 7.7.3 "Page tree".
    """
    pages, counts = len(_PAGE.findall(pdf)), _find_counts(pdf)
    left = _MAX_INFLATED
    for start in _find_all(pdf, b"/ObjStm", _MAX_STREAMS):
        if (stream := _STREAM.match(pdf, start)) and left > 0:
            objects = _inflate(pdf, stream.end(), left)
            left -= len(objects)
            pages += len(_PAGE.findall(objects))
            counts += _find_counts(objects)
    # A file that was edited has its old pages too, so the page tree knows better.
    return min(max(counts, default=pages), MAX_PAGES)


def _find_all(text: bytes, word: bytes, most: int) -> Iterator[int]:
    """Yield where each of the first `most` occurrences of a word ends."""
    end = 0
    for _ in range(most):
        if (start := text.find(word, end)) < 0:
            return
        end = start + len(word)
        yield end


def _find_counts(text: bytes) -> list[int]:
    """The numbers of pages that the nodes of the page tree state."""
    counts = []
    for end in _find_all(text, b"/Count", _MAX_COUNTS):
        before = text[max(end - _AROUND, 0) : end].rpartition(b"<<")[2]
        after = text[end : end + _AROUND].partition(b">>")[0]
        if (number := _NUMBER.match(after)) and (_PAGES.search(before) or _PAGES.search(after)):
            counts.append(int(number[1]))
    return counts


def _inflate(pdf: bytes, start: int, most: int) -> bytes:
    """The compressed data that begins at `start`; empty if it is none, or is encrypted."""
    last = start + _MAX_COMPRESSED
    end = pdf.find(b"endstream", start, last)
    try:
        return zlib.decompressobj().decompress(pdf[start : last if end < 0 else end], most)
    except zlib.error:
        return b""


def measure_audio(audio: bytes) -> int:
    """The seconds of a WAV or MP3 recording, rounded up; 0 for other formats.

    Sources: Multimedia Programming Interface 1.0, "Waveform Audio File Format"; ISO 11172-3,
    2.4.2.3 "Header".
    """
    is_wav = audio[:4] in (b"RIFF", b"RF64") and audio[8:12] == b"WAVE"
    start, rate = _read_wav(audio) if is_wav else _read_mp3(audio)
    return max(-(-(len(audio) - start) // rate), 1) if rate else 0


def _read_wav(audio: bytes) -> tuple[int, int]:
    """Where the sound of a WAV file starts, and its bytes a second; 0 if these are implausible."""
    layout, samples = audio.find(b"fmt ", 12, 4096), audio.find(b"data", 12, 65_536)
    rate = int.from_bytes(audio[layout + 16 : layout + 20], "little")
    return samples + 8, rate if layout >= 0 and samples >= 0 and rate in _WAV_RATES else 0


def _read_mp3(audio: bytes) -> tuple[int, int]:
    """Where the sound of an MP3 file starts, and the bytes of a second; 0 for other files."""
    start = 0
    if audio[:3] == b"ID3" and len(audio) > 10:
        first, second, third, fourth = audio[6:10]
        start = 10 + (first << 21 | second << 14 | third << 7 | fourth)
    header = audio[start : start + 3]
    if len(header) < 3 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return start, 0
    table = _MP3_1 if header[1] & 0x18 == 0x18 else _MP3_2
    return start, table[header[2] >> 4] * 125


def divide(size: int, bytes_of_one: tuple[int, int]) -> tuple[int, int]:
    """The usual and the largest number of pages or seconds in so many bytes, at least 1."""
    usual, least = bytes_of_one
    return -(-max(size, 1) // usual), -(-max(size, 1) // least)
