"""The meters of the routes other than chat."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.metering.meter import Meter
from llmproxy.metering.route_meters import EmbeddingsMeter, MessagesMeter, ResponsesMeter, TextMeter

Read = tuple[int, int, int, str]


def fed(kind: type[Meter], *answers: Any, **bounds: int) -> Meter:
    meter = kind(**{"prompt_bytes": 400, "max_completion_tokens": 500, **bounds})
    for answer in answers:
        meter.observe(answer)
    return meter


def read(meter: Meter) -> Read:
    reading = meter.reading()
    return (
        reading.usage.prompt_tokens,
        reading.usage.cached_tokens,
        reading.usage.completion_tokens,
        reading.source,
    )


def text(*answers: Any, **bounds: int) -> Read:
    return read(fed(TextMeter, *answers, **bounds))


def responses(*answers: Any) -> Read:
    return read(fed(ResponsesMeter, *answers))


def messages(*answers: Any) -> Read:
    return read(fed(MessagesMeter, *answers))


def test_text_is_in_the_choice_itself() -> None:
    piece = {"choices": [{"index": 0, "text": "x" * 40, "logprobs": {"tokens": ["x" * 40]}}]}
    assert text(piece, piece) == (100, 0, 20, "estimated")
    assert text(piece, {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}) == (
        9,
        0,
        4,
        "exact",
    )


def test_an_echo_was_not_generated() -> None:
    echo = {"choices": [{"text": "p" * 400}]}
    assert text(echo, echoed_bytes=400) == (0, 0, 0, "none")
    assert text(echo, {"choices": [{"text": "x" * 40}]}, echoed_bytes=400)[2] == 10
    assert not fed(
        TextMeter, {"choices": [{"text": "p" * 9000}]}, echoed_bytes=9000, max_completion_tokens=1
    ).is_over_limit
    assert fed(
        TextMeter, {"choices": [{"text": "p" * 9000}]}, max_completion_tokens=1
    ).is_over_limit


def test_tokens_that_come_as_numbers_are_counted_exactly() -> None:
    assert text({"choices": [{"text": "x"}]}, prompt_bytes=0, prompt_ids=123)[0] == 123


def test_embeddings_cost_their_prompt_once_they_are_there() -> None:
    vectors = {"data": [{"embedding": [0.1]}]}
    bounds = {"max_completion_tokens": 0}
    assert read(fed(EmbeddingsMeter, vectors, **bounds)) == (100, 0, 0, "estimated")
    assert read(fed(EmbeddingsMeter, {"data": []}, **bounds)) == (0, 0, 0, "none")
    reported = {**vectors, "usage": {"prompt_tokens": 7, "total_tokens": 7}}
    assert read(fed(EmbeddingsMeter, reported, **bounds)) == (7, 0, 0, "exact")
    assert read(fed(EmbeddingsMeter, {**vectors, "usage": {"prompt_tokens": 0}}, **bounds)) == (
        0,
        0,
        0,
        "exact",
    )
    invented = {**vectors, "usage": {"prompt_tokens": 7, "completion_tokens": 9}}
    assert read(fed(EmbeddingsMeter, invented, **bounds)) == (7, 0, 0, "capped")


USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 2},
    "output_tokens": 40,
    "output_tokens_details": {"reasoning_tokens": 30},
    "total_tokens": 49,
}


def delta(value: Any, kind: str = "output_text") -> dict[str, Any]:
    return {"type": f"response.{kind}.delta", "delta": value, "obfuscation": "x" * 999}


@pytest.mark.parametrize("last", ["completed", "incomplete", "failed"])
def test_the_last_event_of_a_response_has_its_exact_usage(last: str) -> None:
    ended = {
        "type": f"response.{last}",
        "response": {"id": "resp_1", "status": last, "usage": USAGE, "output": []},
    }
    created = {
        "type": "response.created",
        "response": {"id": "resp_1", "status": "in_progress", "usage": None},
    }
    meter = fed(ResponsesMeter, created, delta("Hello"), ended)
    assert read(meter) == (9, 5, 40, "exact")
    assert (meter.reading().usage.reasoning_tokens, meter.finish_reason, meter.upstream_id) == (
        30,
        last,
        "resp_1",
    )
    assert meter.reading().usage.cache_write_tokens == 2


def test_the_reason_of_an_incomplete_response_is_kept() -> None:
    why = {
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [],
    }
    assert fed(ResponsesMeter, why).finish_reason == "max_output_tokens"


@pytest.mark.parametrize(
    "kind",
    [
        "output_text",
        "refusal",
        "function_call_arguments",
        "custom_tool_call_input",
        "reasoning_summary_text",
    ],
)
def test_deltas_of_every_kind_are_estimated(kind: str) -> None:
    assert responses(delta("x" * 40, kind), delta("x" * 40, kind)) == (100, 0, 20, "estimated")


def test_what_comes_in_pieces_and_whole_counts_once() -> None:
    item = {
        "type": "message",
        "id": "i" * 99,
        "content": [{"type": "output_text", "text": "x" * 40}],
    }
    done = {"type": "response.output_item.done", "item": item}
    ended = {"type": "response.completed", "response": {"status": "completed", "output": [item]}}
    assert responses(delta("x" * 40), done, ended)[2] == 10
    assert responses(done, ended)[2] == responses(ended)[2] == 10
    assert responses(delta("x" * 400), done)[2] == 100
    call = {"type": "function_call", "name": "look", "arguments": "x" * 36, "call_id": "c" * 99}
    thought = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "x" * 40}],
        "encrypted_content": "e" * 99,
    }
    assert responses({"status": "completed", "output": [call, thought, item]})[2] == 30


START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "usage": {
            "input_tokens": 9,
            "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 300,
            "output_tokens": 1,
        },
    },
}
END = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {"output_tokens": 40},
}


def block(**fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": fields}


def test_a_message_is_exact_at_its_end() -> None:
    meter = fed(MessagesMeter, START, block(type="text_delta", text="Hello"), END)
    assert read(meter) == (329, 300, 40, "exact")
    assert (meter.upstream_id, meter.finish_reason) == ("msg_1", "end_turn")
    assert meter.reading().usage.cache_write_tokens == 20


def test_a_message_in_one_piece_is_exact() -> None:
    usage = {
        "input_tokens": 9,
        "output_tokens": 40,
        "output_tokens_details": {"thinking_tokens": 30},
    }
    answer = {
        "type": "message",
        "id": "msg_1",
        "content": [],
        "stop_reason": "end_turn",
        "usage": usage,
    }
    assert read(fed(MessagesMeter, answer)) == (9, 0, 40, "exact")
    assert fed(MessagesMeter, answer).reading().usage.reasoning_tokens == 30


def test_a_message_cut_short_has_its_exact_prompt_and_an_estimate() -> None:
    assert messages(START, block(type="text_delta", text="x" * 40)) == (329, 300, 10, "estimated")
    assert messages(START) == (329, 300, 1, "estimated")
    assert fed(MessagesMeter, START).reading().usage.cache_write_tokens == 20
    assert messages(block(type="text_delta", text="x" * 40)) == (100, 0, 10, "estimated")


def test_a_completion_that_was_told_counts_although_the_prompt_was_not() -> None:
    assert messages(block(type="text_delta", text="x"), END) == (100, 0, 40, "estimated")


def test_a_prompt_whose_answer_failed_before_it_began_is_not_charged() -> None:
    meter = fed(MessagesMeter, START)
    meter.is_broken = True
    assert read(meter) == (0, 0, 0, "none")
    meter.observe(block(type="text_delta", text="x" * 40))
    assert read(meter) == (329, 300, 10, "estimated")


def test_counts_are_cumulative_and_zeros_say_nothing() -> None:
    zeros = {"type": "message_start", "message": {"usage": {"input_tokens": 0, "output_tokens": 0}}}
    reported = {**END, "usage": {"input_tokens": 50, "output_tokens": 7}}
    assert messages(zeros, reported) == messages(zeros, reported, reported) == (50, 0, 7, "exact")
    assert messages(START, {**END, "usage": {"input_tokens": 0, "output_tokens": 40}}) == (
        329,
        300,
        40,
        "exact",
    )


def test_of_a_prompt_beyond_what_can_be_its_cache_is_no_more_than_all() -> None:
    usage = {"input_tokens": 9, "cache_creation_input_tokens": 2**30, "output_tokens": 4}
    reading = fed(
        MessagesMeter, {"type": "message", "stop_reason": "end_turn", "usage": usage}
    ).reading()
    assert (reading.usage.prompt_tokens, reading.usage.cache_write_tokens, reading.source) == (
        400,
        400,
        "capped",
    )


def test_blocks_of_every_kind_are_estimated_and_signatures_are_not() -> None:
    tool = {
        "type": "content_block_start",
        "content_block": {"type": "tool_use", "id": "t" * 99, "name": "look"},
    }
    assert messages(tool, block(type="input_json_delta", partial_json="x" * 36))[2] == 10
    assert (
        messages(block(type="thinking_delta", thinking="x" * 40), block(signature="s" * 999))[2]
        == 10
    )
    whole = {
        "type": "message",
        "content": [{"type": "tool_use", "name": "look", "input": {"id": "x" * 27}}],
    }
    assert messages(whole)[2] == 10


def test_nobody_pays_for_more_than_was_allowed() -> None:
    assert messages(START, {**END, "usage": {"output_tokens": 501}})[2:] == (500, "capped")
    assert messages(START, block(text="x" * 100_000))[2:] == (500, "estimated")
    assert responses(
        {"status": "completed", "output": [], "usage": {**USAGE, "output_tokens": 501}}
    )[2:] == (
        500,
        "capped",
    )
    assert fed(MessagesMeter, *[block(text="x" * 128)] * 502).is_over_limit
    assert fed(ResponsesMeter, *[delta("x" * 128)] * 502).is_over_limit


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda s: st.lists(s) | st.dictionaries(st.text(), s),
)
KINDS = ["message", "message_start", "content_block_start", "content_block_delta", "message_delta"]
KINDS += ["response.completed", "response.output_item.done", "response.output_text.delta", ""]
MEMBERS = [
    "message",
    "content_block",
    "delta",
    "usage",
    "response",
    "item",
    "content",
    "output",
    "data",
    "choices",
]


@pytest.mark.long
@given(
    st.lists(st.dictionaries(st.sampled_from(MEMBERS), anything), max_size=3),
    st.sampled_from(KINDS),
)
def test_an_answer_of_any_shape_is_survived(answers: list[dict[str, Any]], kind: str) -> None:
    for meter in (TextMeter, EmbeddingsMeter, ResponsesMeter, MessagesMeter):
        reading = fed(meter, *answers, *({**answer, "type": kind} for answer in answers)).reading()
        assert reading.usage.completion_tokens <= 500
