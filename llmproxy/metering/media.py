"""What a request contains besides text: images, documents, audio and video, and what they cost.

Their bytes say nothing about their tokens, so they are counted by kind: images, pages, seconds.
Pure: nothing is fetched.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmproxy.metering import media_sizes


@dataclass(frozen=True, slots=True)
class Medium:
    """A kind of content that is no text.

    * `name`: what is counted. A model has a column `…_tokens` of this name: the most tokens of one.
    * `part`: the price kind of its tokens.
    * `thing`: the price kind of one of it, if there is one; `count` is its number in `Usage`.
    * `least_tokens`: the tokens of one in an estimate that is charged, which favours the user.
    * `unknown`: the usual and the largest number behind an address.
    """

    name: str
    part: str
    thing: str | None
    count: str | None
    least_tokens: int
    unknown: tuple[int, int]


IMAGE = Medium("image", "image_prompt", "image", "images", 85, (1, 1))
PAGE = Medium("page", "image_prompt", "page", "pages", 258, (10, 100))
AUDIO = Medium("audio_second", "audio_prompt", "audio_second", "audio_seconds", 10, (60, 3600))
VIDEO = Medium("video_second", "image_prompt", None, None, 66, (60, 3600))
MEDIA = (IMAGE, PAGE, AUDIO, VIDEO)

# A compressed page can have far more text than the rate of a page says. Where the provider reports
# such a prompt, it is believed up to so many tokens more: for each byte of a document, for each
# byte of a recording, and for what is behind an address.
SLACK_A_BYTE = 8
SLACK_OF_ADDRESS = 250_000
SLACK_SECONDS = 60  # of a recording, which a provider may measure otherwise

_DATA_URL = re.compile(r"\s*data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_HEAD = 2048  # base64 characters in which the format of a content shows
_BY_TYPE = {"image": IMAGE, "audio": AUDIO, "video": VIDEO}
_TEXT_TYPES = re.compile(r"(text/|application/(json|xml|x-?yaml|javascript|x-ndjson)|image/svg)")
_BY_ENDING = (
    (re.compile(r"\.(png|jpe?g|gif|webp|bmp|tiff?|heic|avif)\Z"), IMAGE),
    (re.compile(r"\.(wav|mp3|m4a|ogg|opus|flac|aac)\Z"), AUDIO),
    (re.compile(r"\.(mp4|mov|webm|mkv|avi|mpe?g)\Z"), VIDEO),
)
# The first bytes of formats, and those at an offset where the first ones are not enough.
_FORMATS: tuple[tuple[bytes, int, bytes, Medium], ...] = (
    (b"%PDF-", 0, b"", PAGE),
    (b"PK\x03\x04", 0, b"", PAGE),  # documents of office programs
    (b"\x89PNG", 0, b"", IMAGE),
    (b"\xff\xd8\xff", 0, b"", IMAGE),
    (b"GIF8", 0, b"", IMAGE),
    (b"BM", 0, b"", IMAGE),
    (b"II*\0", 0, b"", IMAGE),
    (b"MM\0*", 0, b"", IMAGE),
    (b"RIFF", 8, b"WEBP", IMAGE),
    (b"RIFF", 8, b"WAVE", AUDIO),
    (b"RIFF", 8, b"AVI ", VIDEO),
    (b"ID3", 0, b"", AUDIO),
    (b"OggS", 0, b"", AUDIO),
    (b"fLaC", 0, b"", AUDIO),
    (b"", 4, b"ftypM4A", AUDIO),
    (b"", 4, b"ftyphei", IMAGE),
    (b"", 4, b"ftypmif", IMAGE),
    (b"", 4, b"ftypavi", IMAGE),
    (b"", 4, b"ftyp", VIDEO),
)


@dataclass(frozen=True, slots=True)
class Content:
    """One content of a request. `medium` is None for a text file.

    `likely` and `most` are numbers of `medium`, which are equal where the content says how many
    there are. `sent` is its size in the body, `text` its size as text, and `slack` the tokens that
    it can have beyond `most`.
    """

    medium: Medium | None
    likely: int = 0
    most: int = 0
    sent: int = 0
    text: int = 0
    slack: int = 0


def read_content(text: str, expected: Medium, media_type: str = "") -> Content:
    """The content that a member of a request has: a data URL, base64, or an address.

    `expected` is what the place of the member says, for a content that does not say what it is.
    """
    if _ADDRESS.match(text[:64]):
        return read_address(text, expected)
    if match := _DATA_URL.match(text[:512]):
        is_base64 = "base64" in match[2].lower()
        media_type, text = match[1] or media_type, text[match.end() :]
        if not is_base64:
            medium = _choose(media_type.lower(), expected)
            return Content(None if medium is PAGE else medium, 1, 1, len(text), len(text))
    return _read_data(text, expected, media_type.strip().lower())


def read_address(address: str, expected: Medium) -> Content:
    """The content behind an address, which only the provider fetches: its size is unknown."""
    path = re.split(r"[?#]", address[:2048].lower(), maxsplit=1)[0]
    medium = next((medium for ending, medium in _BY_ENDING if ending.search(path)), expected)
    likely, most = medium.unknown
    slack = 0 if medium is IMAGE else SLACK_OF_ADDRESS
    return Content(medium, likely, most, sent=len(address), slack=slack)


def _read_data(data: str, expected: Medium, media_type: str) -> Content:
    """The content in base64."""
    medium = _recognise(data) or _choose(media_type, expected)
    if medium is None:
        return Content(None, sent=len(data), text=len(data) * 3 // 4)
    if medium is IMAGE:
        return Content(IMAGE, 1, 1, sent=len(data))
    raw = _decode(data)
    likely, most = _count(medium, raw)
    slack = SLACK_A_BYTE * len(raw) if medium is PAGE else len(raw)
    return Content(medium, likely, most, sent=len(data), slack=slack)


def _choose(media_type: str, expected: Medium) -> Medium | None:
    """The medium of this type; None for a type of text."""
    if _TEXT_TYPES.match(media_type):
        return None
    if media_type == "application/pdf":
        return PAGE
    return _BY_TYPE.get(media_type.partition("/")[0], expected)


def _recognise(data: str) -> Medium | None:
    """The medium that the first bytes of base64 show; None if they do not show it."""
    head = _decode(data[:_HEAD])
    for start, offset, more, medium in _FORMATS:
        if head.startswith(start) and head[offset : offset + len(more)] == more:
            return medium
    if b"%PDF-" in head[:1024]:
        return PAGE
    return AUDIO if head[:1] == b"\xff" and head[1:2] >= b"\xe0" else None


def _decode(data: str) -> bytes:
    """The bytes in base64, in either alphabet, without its padding too; empty if it is none."""
    if "-" in data or "_" in data:
        data = data.replace("-", "+").replace("_", "/")
    encoded = "".join(data.split()).encode("ascii", "ignore").rstrip(b"=")
    try:
        return base64.b64decode(encoded[: len(encoded) // 4 * 4])
    except binascii.Error:
        return b""


def _count(medium: Medium, raw: bytes) -> tuple[int, int]:
    """How many pages or seconds there are, usually and at most."""
    if medium is PAGE:
        exact, sizes = media_sizes.count_pages(raw), media_sizes.PAGE_BYTES
    elif medium is AUDIO:
        exact, sizes = media_sizes.measure_audio(raw), media_sizes.AUDIO_BYTES
    else:
        exact, sizes = 0, media_sizes.VIDEO_BYTES
    return (exact, exact) if exact else media_sizes.divide(len(raw), sizes)


@dataclass(frozen=True, slots=True)
class Media:
    """All contents of a request."""

    contents: Sequence[Content]

    @property
    def sent_bytes(self) -> int:
        """The bytes of the body that are no text."""
        return sum(content.sent - content.text for content in self.contents)

    @property
    def least_tokens(self) -> int:
        """The tokens of an estimate that is charged."""
        return sum(
            content.likely * content.medium.least_tokens
            for content in self.contents
            if content.medium
        )

    @property
    def slack_tokens(self) -> int:
        """The tokens that a provider is believed to have read beyond the most that are held."""
        return sum(content.slack for content in self.contents)

    @property
    def counts(self) -> dict[str, int]:
        """The things that can have a price of their own, by their names in `Usage`."""
        counts: dict[str, int] = {}
        for content in self.contents:
            if content.medium and (name := content.medium.count):
                counts[name] = counts.get(name, 0) + content.likely
        return counts

    def believes_seconds(self, reported: int) -> bool:
        """Whether the recordings can be so many seconds long."""
        most = sum(content.most for content in self.contents if content.medium is AUDIO)
        return reported <= most + SLACK_SECONDS

    def describe(self, tokens: Mapping[str, int]) -> list[dict[str, Any]]:
        """The contents as admission asks for them; `tokens` has the default rate by medium."""
        return [
            {
                "rate": f"{medium.name}_tokens",
                "tokens": tokens[medium.name],
                "part": medium.part,
                "thing": medium.thing,
                "likely": sum(content.likely for content in of_medium),
                "most": sum(content.most for content in of_medium),
            }
            for medium in MEDIA
            if (of_medium := [one for one in self.contents if one.medium is medium])
        ]


def collect(contents: Iterable[Content]) -> Media | None:
    """All of these contents; None if there are none."""
    listed = tuple(contents)
    return Media(listed) if listed else None
