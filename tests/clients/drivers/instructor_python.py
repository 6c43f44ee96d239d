"""Instructor, which asks for objects, with the SDKs of OpenAI and Anthropic."""

from typing import Any

import anthropic
import instructor
import openai
from pydantic import BaseModel
from steps import (
    CLAUDE,
    KEY,
    PLAIN,
    POOR_KEY,
    REASONS,
    URL,
    V1,
    Usages,
    expect,
    expect_failure,
    run,
)

ASKED: Any = [{"role": "user", "content": "Where? Answer in json."}]


class Place(BaseModel):
    city: str
    people: int


def make_client(mode: Any, key: str = KEY) -> Any:
    return instructor.from_openai(openai.OpenAI(base_url=V1, api_key=key, max_retries=0), mode=mode)


def ask(client: Any, model: str, **more: Any) -> Any:
    place, answer = client.chat.completions.create_with_completion(
        model=model, messages=ASKED, response_model=Place, **more
    )
    expect((place.city, place.people) == ("x", 1), place)
    return answer.usage


def tools() -> Usages:
    usage = ask(make_client(instructor.Mode.TOOLS), REASONS)
    return [(usage.prompt_tokens, usage.completion_tokens)]


def json_schema() -> Usages:
    usage = ask(make_client(instructor.Mode.JSON_SCHEMA), PLAIN, max_tokens=500)
    return [(usage.prompt_tokens, usage.completion_tokens)]


def responses_tools() -> Usages:
    usage = ask(make_client(instructor.Mode.RESPONSES_TOOLS), REASONS)
    return [(usage.input_tokens, usage.output_tokens)]


def partial_stream() -> None:
    client = make_client(instructor.Mode.TOOLS)
    *_, last = client.chat.completions.create_partial(
        model=REASONS, messages=ASKED, response_model=Place
    )
    expect((last.city, last.people) == ("x", 1), last)


def anthropic_tools() -> Usages:
    sdk = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0)
    usage = ask(instructor.from_anthropic(sdk), CLAUDE, max_tokens=500)
    return [(usage.input_tokens, usage.output_tokens)]


def credits_error() -> None:
    client = make_client(instructor.Mode.TOOLS, POOR_KEY)
    expect_failure(lambda: ask(client, REASONS, max_retries=0), "402", "credits")


run(tools, json_schema, responses_tools, partial_stream, anthropic_tools, credits_error)
