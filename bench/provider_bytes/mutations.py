"""Changes of an answer's bytes. Pure; everything follows from the random numbers."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from bench.provider_bytes.answers import Answer

LIES: list[Any] = [None, -1, 0, 1, 0.5, 4.5, "20", "many", True, [5], {"value": 5}, 2**39, 2**63]
LIES += [1e300, float("nan"), float("inf"), float("-inf"), 3000]
IS_COUNT = re.compile(r"token|count|_n\Z|Token", re.IGNORECASE)
OTHER_LINE_ENDS = (b"\r\n", b"\r")


@dataclass(frozen=True)
class Sent:
    """The bytes that a provider sends, in the pieces in which it writes them.

    `is_exact` means that all of the answer comes, with its usage as it is: it is charged exactly.
    `texts` have to reach the caller, unless it is told of an error. `is_cut` means that the
    connection ends within the answer.
    """

    answer: Answer
    mutation: str
    pieces: list[bytes]
    texts: list[bytes]
    is_exact: bool = False
    is_cut: bool = False
    is_valid: bool = True  # every event and body is JSON as a provider writes it


def mutate(answer: Answer, random: Random) -> Sent:
    """Return the answer after one mutation, split anywhere."""
    mutation = random.choice([*MUTATIONS, *(STREAM_MUTATIONS if answer.is_stream else {})])
    sent = (MUTATIONS | STREAM_MUTATIONS)[mutation](answer, random)
    return Sent(**{**vars(sent), "mutation": mutation, "pieces": _split(sent.pieces, random)})


def _split(pieces: list[bytes], random: Random) -> list[bytes]:
    data = b"".join(pieces)
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.choice([0, 1, 3, 40])))
    ends = zip([0, *cuts], [*cuts, len(data)], strict=True)
    return [data[start:end] for start, end in ends if start < end]


def _keep(answer: Answer, random: Random) -> Sent:
    return Sent(answer, "", answer.pieces, answer.texts, is_exact=True)


def _cut(answer: Answer, random: Random) -> Sent:
    data = b"".join(answer.pieces)
    data = data[: random.randrange(len(data))]
    texts = [text for text in answer.texts if text in data.rpartition(b"\n\n")[0]]
    return Sent(answer, "", [data], texts if answer.is_stream else answer.texts, is_cut=True)


def _lie(answer: Answer, random: Random) -> Sent:
    """Replace some counts of a usage by what is no count, or not true."""
    pieces = []
    for piece in answer.pieces:
        head, found, body = piece.partition(b"data: ") if answer.is_stream else (b"", b"", piece)
        if body.startswith(b"{"):
            value = _falsify(json.loads(body), random)
            body = json.dumps(value).encode() + (b"\n\n" if answer.is_stream else b"")
        pieces.append(head + found + body)
    return Sent(answer, "", pieces, answer.texts)


def _falsify(value: Any, random: Random) -> Any:
    if isinstance(value, dict):
        return {
            name: random.choice(LIES)
            if IS_COUNT.search(name) and not isinstance(inner, dict) and random.random() < 0.5
            else _falsify(inner, random)
            for name, inner in value.items()
        }
    return [_falsify(inner, random) for inner in value] if isinstance(value, list) else value


def _flip(answer: Answer, random: Random) -> Sent:
    """Change single bytes."""
    data = bytearray(b"".join(answer.pieces))
    for _ in range(random.choice([1, 2, 9])):
        data[random.randrange(len(data))] = random.randrange(256)
    return Sent(answer, "", [bytes(data)], [], is_valid=False)


def _reorder(answer: Answer, random: Random) -> Sent:
    """Shuffle the events between those that begin and those that end the answer."""
    end = len(answer.pieces) - answer.last
    middle = answer.pieces[answer.first : end]
    random.shuffle(middle)
    pieces = [*answer.pieces[: answer.first], *middle, *answer.pieces[end:]]
    return Sent(answer, "", pieces, answer.texts, is_exact=True)


def _repeat_usage(answer: Answer, random: Random) -> Sent:
    """Send all usage twice, or zeros after it, before the last event."""
    zeros = [
        re.sub(rb"(?<=: )\d+(?=[,}])", b"0", piece) if random.random() < 0.5 else piece
        for piece in answer.pieces
        if b'"usage"' in piece and b'"choices": []' in piece
    ]
    pieces = [*answer.pieces[: -answer.last], *zeros, *answer.pieces[-answer.last :]]
    return Sent(answer, "", pieces, answer.texts, is_exact=True)


def _drop(answer: Answer, random: Random) -> Sent:
    """Leave out one event."""
    pieces = list(answer.pieces)
    dropped = pieces.pop(random.randrange(len(pieces)))
    texts = [text for text in answer.texts if text not in dropped]
    return Sent(answer, "", pieces, texts)


def _change_line_ends(answer: Answer, random: Random) -> Sent:
    end = random.choice(OTHER_LINE_ENDS)
    pieces = [piece.replace(b"\n", end) for piece in answer.pieces]
    return Sent(answer, "", pieces, answer.texts, is_exact=True)


Mutation = Callable[[Answer, Random], Sent]
MUTATIONS: dict[str, Mutation] = {"keep": _keep, "cut": _cut, "lie": _lie, "flip": _flip}
STREAM_MUTATIONS: dict[str, Mutation] = {
    "reorder": _reorder,
    "repeat usage": _repeat_usage,
    "drop": _drop,
    "line ends": _change_line_ends,
}
