"""How media are recognised and counted: pure."""

import base64
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.metering import media, media_sizes
from llmproxy.metering.media import AUDIO, IMAGE, PAGE, VIDEO, Content
from tests.llmproxy.wild import files


@pytest.mark.parametrize("pages", [1, 3, 250])
@pytest.mark.parametrize("form", ["plain", "compressed", "flat"])
def test_pages_are_counted(pages: int, form: str) -> None:
    assert media_sizes.count_pages(files.pdf(pages, 5000, form=form)) == pages


PAGES = [
    (b"", 0),
    (b"no PDF", 0),
    (files.pdf(9, form="sealed"), 0),
    (b"<</Type/Page>><</Type/Page/Rotate 90>><</Type/PageLabel>><</Type /Pages >>", 2),
    (b"<</Count 7/Kids[1 0 R]/Type/Pages>><</Type /Page>>", 7),
    (b"<</Type/Outlines/Count 900>><</Type /Page>>", 1),
    (b"<</Type /Pages /Count 999999>>", media_sizes.MAX_PAGES),
    (b"<</Type /ObjStm>>\nstream\nnot compressed\nendstream", 0),
    (b"<</Type /ObjStm>>\nstream\n", 0),
    # It was edited: its old pages are in it too.
    (b"<</Type /Pages /Count 2>>" + b"<</Type /Page>>" * 6, 2),
    # The page tree says less than a newer one in a compressed stream.
    (b"<</Type /Pages /Count 1>>" + files.pdf(40, form="compressed"), 40),
]


@pytest.mark.parametrize(("pdf", "pages"), PAGES)
def test_pages_of_files_that_are_odd(pdf: bytes, pages: int) -> None:
    assert media_sizes.count_pages(pdf) == pages


def test_a_bomb_of_pages_is_bounded() -> None:
    bomb = files.pdf(60_000, form="compressed") * 3
    assert media_sizes.count_pages(bomb) == media_sizes.MAX_PAGES


SLOW = [b"/ObjStm", b"/ObjStm>>stream\n", b"/Type/Pages", b"/Count 1", b"/Type/Pages/Count 1"]


@pytest.mark.parametrize("word", [*SLOW, b"/Type", b"/Type ", b"<</Type /Pages", b">>"])
def test_no_file_takes_long(word: bytes) -> None:
    started = time.process_time()
    media_sizes.count_pages(word * (2 * 1024 * 1024 // len(word)))
    assert time.process_time() - started < 0.5


AUDIOS = [
    (files.wav(1), 1),
    (files.wav(90), 90),
    (files.wav(10, rate=16_000), 10),
    (files.mp3(10), 10),
    (files.mp3(10, tag=5000), 10),
    (files.OGG, 0),
    (files.M4A, 0),
    (b"", 0),
    (b"RIFF", 0),
    (b"RIFF\0\0\0\0WAVE", 0),
    (b"RIFF\0\0\0\0WAVEfmt ", 0),
    (files.wav(2, rate=1), 0),  # a byte a second is no sound
    (b"ID3\x04\0\0\x7f\x7f\x7f\x7f", 0),
    (b"\xff\xfb\x00\xc4", 0),
    (files.JPEG, 0),
]


@pytest.mark.parametrize(("audio", "seconds"), AUDIOS)
def test_seconds_are_read_from_the_header(audio: bytes, seconds: int) -> None:
    assert media_sizes.measure_audio(audio) == seconds


RECOGNISED: list[tuple[str, Any, str, Any, tuple[int, int]]] = [
    ("png", files.encode(files.PNG, "image/png"), "", IMAGE, (1, 1)),
    ("jpeg of no type", files.encode(files.JPEG), "", IMAGE, (1, 1)),
    ("webp", files.encode(files.WEBP, "image/webp"), "", IMAGE, (1, 1)),
    ("an image of no known format", files.encode(b"x" * 90, "image/x-y"), "", IMAGE, (1, 1)),
    ("a PDF", files.encode(files.pdf(4), "application/pdf"), "", PAGE, (4, 4)),
    ("a PDF of no type", files.encode(files.pdf(4)), "", PAGE, (4, 4)),
    ("a PDF that says image", files.encode(files.pdf(4), "image/png"), "", PAGE, (4, 4)),
    ("a PDF after a mark", files.encode(b"\xef\xbb\xbf\n" + files.pdf(4)), "", PAGE, (4, 4)),
    ("a PDF without padding", files.encode(files.pdf(4)).rstrip("="), "", PAGE, (4, 4)),
    (
        "a PDF in the other alphabet",
        base64.urlsafe_b64encode(files.pdf(4, 500)).decode(),
        "",
        PAGE,
        (4, 4),
    ),
    (
        "a PDF in lines",
        base64.encodebytes(files.pdf(4, 500)).decode(),
        "application/pdf",
        PAGE,
        (4, 4),
    ),
    ("a sealed PDF", files.encode(files.pdf(4, 100_000, form="sealed")), "", PAGE, (3, 51)),
    ("a docx", files.encode(files.DOCX), "", PAGE, (3, 61)),
    ("a file of unknown format", files.encode(b"\0" * 10_000), "", PAGE, (1, 5)),
    ("a wav", files.encode(files.wav(7)), "audio/wav", AUDIO, (7, 7)),
    ("an mp3 that says wav", files.encode(files.mp3(8)), "audio/wav", AUDIO, (8, 8)),
    ("an ogg", files.encode(files.OGG), "audio/ogg", AUDIO, (5, 33)),
    ("an m4a", files.encode(files.M4A), "", AUDIO, (5, 33)),
    ("an mp4", files.encode(files.MP4), "", VIDEO, (3, 25)),
    ("a text", files.encode(b"x" * 3000, "text/plain"), "", None, (0, 0)),
    ("json by its name", files.encode(b"x" * 3000), "application/json", None, (0, 0)),
    ("an svg", "data:image/svg+xml;utf8,<svg>", "", None, (1, 1)),
    ("nothing", "", "", PAGE, (1, 1)),
    ("no base64", "§§§", "", PAGE, (1, 1)),
    ("an image's address", "https://x.example/a.PNG?b=c.pdf", "", IMAGE, (1, 1)),
    ("a sound's address", "https://x.example/a.mp3#t", "", AUDIO, (60, 3600)),
    ("a document's address", "https://x.example/a", "", PAGE, (10, 100)),
    ("an address in a store", "gs://bucket/film.mp4", "", VIDEO, (60, 3600)),
]


@pytest.mark.parametrize(
    ("name", "text", "media_type", "medium", "numbers"), RECOGNISED, ids=[r[0] for r in RECOGNISED]
)
def test_a_content_is_what_its_bytes_say_then_what_its_type_says(
    name: str, text: str, media_type: str, medium: Any, numbers: tuple[int, int]
) -> None:
    content = media.read_content(text, PAGE, media_type)
    assert (content.medium, (content.likely, content.most)) == (medium, numbers)
    assert content.sent <= len(text)


def test_a_text_in_base64_counts_as_its_text() -> None:
    content = media.read_content(files.encode(b"x" * 3000, "text/plain"), PAGE)
    assert (content.sent, content.text) == (4000, 3000)


@given(st.text() | st.text(alphabet="data:imge/pn;bs64,ABC=") | st.binary().map(files.encode))
def test_a_content_of_any_shape_is_survived(text: str) -> None:
    for expected in media.MEDIA:
        content = media.read_content(text, expected)
        assert 0 <= content.likely <= content.most
        assert 0 <= content.sent <= len(text)
        assert isinstance(content, Content)
