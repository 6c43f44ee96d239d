"""The pure parsers of a response: the result does not depend on how the bytes are split."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.exceptions import UpstreamError
from llmproxy.http1.framing import LONGEST_HEAD, Chunked, Head, Malformed, Sized
from llmproxy.upstream.event_stream import Events

chunks = st.lists(st.binary(min_size=1, max_size=50), max_size=8)
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=30)
lines = st.sampled_from(
    ["data: {}", "data:x", "data: a b", "event: e", "id: 7", ": comment", "retry: 3", "data"]
)
ENDS = ("\n", "\r\n", "\r")


def cut(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """Split the bytes into pieces of these sizes, which repeat."""
    pieces, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        pieces.append(data[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


def chunked(parts: Sequence[bytes], extension: bytes, trailers: bytes) -> bytes:
    body = b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts)
    return body + b"0\r\n" + trailers + b"\r\n"


@given(chunks, cuts, st.sampled_from([b"", b";a=b", b" "]), st.sampled_from([b"", b"x: y\r\n"]))
def test_a_chunked_body_is_its_chunks_however_it_comes(
    parts: list[bytes], sizes: list[int], extension: bytes, trailers: bytes
) -> None:
    body = Chunked()
    got = b"".join(body.feed(piece) for piece in cut(chunked(parts, extension, trailers), sizes))
    assert (got, body.is_over) == (b"".join(parts), True)
    body.end()


@given(chunks, cuts, st.integers(1, 5))
def test_a_chunked_body_that_is_cut_is_not_over(
    parts: list[bytes], sizes: list[int], missing: int
) -> None:
    body = Chunked()
    for piece in cut(chunked(parts, b"", b"")[:-missing], sizes):
        body.feed(piece)
    with pytest.raises(Malformed):
        body.end()


def _read_all(data: bytes) -> None:
    body = Chunked()
    body.feed(data)
    body.end()


@pytest.mark.parametrize(
    "broken",
    [
        b"x\r\n",
        b"-1\r\n",
        b"5\r\nHelloXX",
        b"fffffffff\r\n",
        b"\r\n",
        b"1" * 5000,
        b"2\r\nabc\r\n",
        b"1\r\naX\n0\r\n\r\n",
    ],
)
def test_what_is_not_chunked_is_refused(broken: bytes) -> None:
    with pytest.raises(Malformed):
        _read_all(broken)


@pytest.mark.parametrize(
    "surplus",
    [b"\r\n", b"\n", b"\r", b" ", b"H", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nSECRET"],
)
@given(st.one_of(cuts, st.just([1000])))
def test_what_comes_after_a_chunked_body_is_noticed_and_no_part_of_it(
    surplus: bytes, sizes: list[int]
) -> None:
    for trailers in (b"", b"x: y\r\n"):
        body = Chunked()
        whole = chunked([b"mine"], b"", trailers)
        assert b"".join(body.feed(piece) for piece in cut(whole, sizes)) == b"mine"
        assert (body.is_over, body.has_extra_bytes) == (True, False)
        body = Chunked()
        assert b"".join(body.feed(piece) for piece in cut(whole + surplus, sizes)) == b"mine"
        assert (body.is_over, body.has_extra_bytes) == (True, True)


@pytest.mark.parametrize(
    "line",
    [
        b"1\na\r\n0\r\n\r\n",
        b"0\n\n",
        b"0\r\nx: y\n\r\n",
        b"0\r\nx\r\n\r\n",
        b"1\r\na0\r\n\r\n",
        b" 1\r\na",
    ],
)
def test_no_line_of_a_chunked_body_is_read_in_two_ways(line: bytes) -> None:
    with pytest.raises(Malformed):
        _read_all(line)


@pytest.mark.parametrize(
    ("begin", "more"), [(b"5;", b"a"), (b"0\r\nx: ", b"a"), (b"0\r\n", b"x: y\r\n"), (b"", b"0")]
)
def test_a_chunked_body_without_content_is_read_for_a_while_only(begin: bytes, more: bytes) -> None:
    def read_on() -> None:
        for _ in range(20):
            body.feed(more * 5000)

    body = Chunked()
    body.feed(begin)
    with pytest.raises(Malformed):
        read_on()


@given(st.binary(max_size=60), cuts, st.integers(0, 60))
def test_a_body_of_a_length_ends_there(data: bytes, sizes: list[int], length: int) -> None:
    body = Sized(length)
    got = b"".join(body.feed(piece) for piece in cut(data, sizes))
    assert got == data[:length]
    assert body.is_over == (len(data) >= length)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    body = Sized(None)
    assert (body.feed(b"all"), body.is_over) == (b"all", False)
    body.end()
    assert body.is_over


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 000 No\r\n\r\n",
        b"HTTP/1.1 99 No\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n Content-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX:\r\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \rContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX Content-Length: 5\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_headers_that_can_be_read_in_two_ways_are_refused(head: bytes) -> None:
    with pytest.raises(Malformed):
        Head.parse(head).body()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200\nContent-Length:5\n\n",
        b"HTTP/1.1 200 OK\r\ncontent-length : 5 \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n\tb\r\nContent-Length:\r\n 5\r\n\r\n",
    ],
)
def test_odd_headers_are_understood(head: bytes) -> None:
    assert (Head.find_end(head), Head.parse(head).headers["content-length"][:1]) == (len(head), "5")
    assert not Head.parse(head).body().is_over


def read(pieces: Sequence[bytes]) -> list[tuple[str, bytes, bytes]]:
    events = Events()
    whole = [event for piece in pieces for event in events.feed(piece)]
    return [(event.event, event.data, event.raw) for event in [*whole, *events.end()]]


@given(
    st.lists(st.lists(lines, min_size=1, max_size=4), max_size=5),
    st.sampled_from(ENDS),
    cuts,
    st.booleans(),
)
def test_events_are_the_same_however_they_come(
    blocks: list[list[str]], end: str, sizes: list[int], is_ended: bool
) -> None:
    text = (end * 2).join(end.join(block) for block in blocks) + (end * 2 if is_ended else "")
    whole = read([text.encode()])
    assert read(cut(text.encode(), sizes)) == whole
    assert read([text.replace(end, "\n").encode()]) == whole
    assert all(raw.endswith(b"\n\n") and b"\r" not in raw for _, _, raw in whole)


def test_one_line_of_data_is_passed_as_it_came() -> None:
    assert read([b'data: {"a":  1}\n\n']) == [("message", b'{"a":  1}', b'data: {"a":  1}\n\n')]


def test_an_event_of_several_lines_is_passed_with_its_name_and_data() -> None:
    assert read([b"retry: 5\nevent: e\ndata: a\ndata: b\n\n"]) == [
        ("e", b"a\nb", b"event: e\ndata: a\ndata: b\n\n")
    ]


def test_an_event_of_too_many_lines_is_refused() -> None:
    with pytest.raises(UpstreamError):
        Events().feed(b"data: x\n" * 1000 + b"\n")


def head(*fields: bytes, status: bytes = b"HTTP/1.1 200 OK", end: bytes = b"\r\n") -> Head:
    data = end.join([status, *fields]) + end * 2
    assert Head.find_end(data + b"body") == len(data)
    return Head.parse(data)


@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
def test_a_head_is_its_status_and_fields(end: bytes) -> None:
    read = head(
        b"Content-Type:  a;b=c ",
        b"X-Twice: 1",
        b"x-twice: 2",
        b"Folded: a",
        b"  b",
        b"Empty:",
        end=end,
    )
    assert read.status == 200
    assert read.headers == {
        "content-type": "a;b=c",
        "x-twice": "1, 2",
        "folded": "a b",
        "empty": "",
    }
    assert head().headers == {}


@pytest.mark.parametrize(
    ("status", "fields", "kept"),
    [
        (b"HTTP/1.1 200", [], True),
        (b"HTTP/1.1 200 OK", [b"Connection: Close"], False),
        (b"HTTP/1.1 200 OK", [b"Connection: x, close"], False),
        (b"HTTP/1.1 200 OK", [b"Connection: x", b"Connection: close"], False),
        (b"HTTP/1.0 200 OK", [], False),
        (b"HTTP/1.0 200 OK", [b"Connection: keep-alive"], False),
    ],
)
def test_a_head_says_whether_the_connection_lasts(
    status: bytes, fields: list[bytes], kept: bool
) -> None:
    assert head(*fields, status=status).is_reusable is kept


def test_news_of_an_answer_is_not_the_answer() -> None:
    finals = [
        head(status=b"HTTP/1.1 %d x" % status).is_final
        for status in (100, 102, 103, 199, 101, 200, 204, 500)
    ]
    assert finals == [False] * 4 + [True] * 4


@pytest.mark.parametrize("status", [b"HTTP/1.1 101 Switching Protocols", b"HTTP/1.1 200 OK"])
def test_an_upgrade_is_an_answer_like_another(status: bytes) -> None:
    read = head(b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 2", status=status)
    assert (read.headers["upgrade"], read.is_final, read.body().feed(b"{}")) == (
        "websocket",
        True,
        b"{}",
    )


def test_where_a_body_ends_is_certain_or_refused() -> None:
    assert isinstance(head(b"Transfer-Encoding: Chunked", b"Content-Length: 3").body(), Chunked)
    assert head(b"Content-Length: 0").body().is_over
    assert head(b"Content-Length: 5", status=b"HTTP/1.1 204 No").body().is_over
    twice = head(b"Content-Length: 2", b"Content-Length: 2").body()
    assert (twice.feed(b"ab"), twice.is_over) == (b"ab", True)
    assert not head().body().is_over


@pytest.mark.parametrize(
    "field",
    [
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: chunked, chunked",
        b"Content-Length: 1, 2",
        b"Content-Length: -1",
        b"Content-Length: +1",
        b"Content-Length: 0x1",
        b"Content-Length: 1_0",
        b"Content-Length: ",
        "Content-Length: ١".encode(),
        b"Content-Length: 99999999999999999999",
    ],
)
def test_a_body_whose_end_is_not_certain_is_refused(field: bytes) -> None:
    with pytest.raises(Malformed):
        head(field).body()


@pytest.mark.parametrize(
    "status",
    [
        b"HTTP/2 200 OK",
        b"HTTP/1.2 200 OK",
        b"200 OK",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"",
        b"\0",
    ],
)
def test_what_is_no_status_line_is_refused(status: bytes) -> None:
    with pytest.raises(Malformed):
        Head.parse(status + b"\r\n\r\n")


def test_headers_end_some_day() -> None:
    assert Head.find_end(b"x" * LONGEST_HEAD) is None
    with pytest.raises(Malformed):
        Head.find_end(b"x" * (LONGEST_HEAD + 1))


@pytest.mark.parametrize("other", [b"\x0b", b"\x0c", b"\x1c", b"\x85", "ฅ".encode()])
def test_nothing_but_a_line_end_ends_a_field(other: bytes) -> None:
    assert "content-length" not in head(b"X: a" + other + b"Content-Length: 1").headers


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_head_or_malformed(data: bytes) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n"):
        try:
            Head.parse(start + data).body()
        except Malformed:
            continue
