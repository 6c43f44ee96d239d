"""Data URLs are found in a text however it is split, in linear time."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.metering.data_urls import DataUrlFilter

FRAGMENTS = ["data:", ";base64,", "image/png", "QUJD", "d", "da", " ", ")", "\n", "é", "=", ","]
texts = st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join)


def count(*pieces: str) -> int:
    data_urls = DataUrlFilter()
    return sum(map(data_urls.count, pieces))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("no URL at all", 13),
        ("data:image/png;base64,QUJD", 0),
        ("![it](data:image/png;base64,QUJD) ok", 10),
        ("data:;base64,QUJD.", 1),
        ("data:image/svg+xml;name=a.svg;base64,QUJD", 0),
        ("data:text/plain,hello", 21),
        ("data: ;base64,QUJD", 18),
        ("data:" + "x" * 300 + ";base64,QUJD ", 318),
        ('{"a": "data:image\\/png;base64,QU\\/D", "b": 1}', 17),
        ("data:data:a;base64,QUJD!", 6),
        ("é data:a;base64,QUJD é", 6),
    ],
)
def test_the_bytes_of_data_urls_are_left_out(text: str, size: int) -> None:
    assert count(text) == size


@given(texts, st.lists(st.integers(0, 200), max_size=6))
def test_a_text_has_the_same_bytes_however_it_is_split(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in itertools.pairwise(places)]
    assert count(*pieces, " .") == count(text + " .")


@pytest.mark.parametrize("text", ["data:", ";base64,", "data:;base64,", "data:x;base64 "])
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    count(text * 100_000)
    assert time.process_time() - started < 1
