"""The models of the provider, with the facts that decide what a request may say."""

from dataclasses import dataclass
from typing import Any

CREATED = 1_750_000_000  # Unix time in seconds


@dataclass(frozen=True)
class Model:
    """`context` and `output` are the most tokens of a prompt with its answer, and of an answer.

    `samples` is False if the model takes no temperature, which is so for the newest of Anthropic.
    """

    name: str
    maker: str = "openai"
    reasons: bool = False
    samples: bool = True
    context: int = 400_000
    output: int = 128_000


MODELS = {
    model.name: model
    for model in (
        Model("gpt-5.1", reasons=True),
        Model("gpt-5.5", reasons=True),
        Model("gpt-6-sol", reasons=True),
        Model("gpt-6.2-astra", reasons=True),
        Model("gpt-5-mini", reasons=True),
        Model("gpt-5-nano", reasons=True),
        Model("gpt-5.1-codex", reasons=True),
        Model("o4-mini", reasons=True, context=200_000, output=100_000),
        Model("gpt-4.1", context=1_047_576, output=32_768),
        Model("gpt-4.1-mini", context=1_047_576, output=32_768),
        Model("gpt-4o-mini", context=128_000, output=16_384),
        Model("gpt-3.5-turbo-instruct", context=4_096, output=4_096),
        Model("text-embedding-3-small", context=8_192, output=0),
        Model("claude-sonnet-4-5", "anthropic", context=200_000, output=64_000),
        Model("claude-haiku-4-5", "anthropic", context=200_000, output=64_000),
        Model(
            "claude-opus-5-5",
            "anthropic",
            reasons=True,
            samples=False,
            context=1_000_000,
            output=128_000,
        ),
        Model(
            "claude-haiku-5-5",
            "anthropic",
            reasons=True,
            samples=False,
            context=200_000,
            output=64_000,
        ),
        Model(
            "claude-sonnet-5",
            "anthropic",
            reasons=True,
            samples=False,
            context=200_000,
            output=128_000,
        ),
        Model("claude-opus-4-6", "anthropic", reasons=True, context=200_000, output=128_000),
    )
}


def find(name: Any, maker: str) -> Model | None:
    model = MODELS.get(name) if isinstance(name, str) else None
    return model if model and model.maker == maker else None


def describe(*, anthropic: bool) -> dict[str, Any]:
    """Return the list of models as the maker whose headers were sent writes it."""
    if anthropic:
        listed = [
            {
                "type": "model",
                "id": name,
                "display_name": name,
                "created_at": "2025-09-29T00:00:00Z",
                "lifecycle": "active",
            }
            for name, model in MODELS.items()
            if model.maker == "anthropic"
        ]
        return {
            "data": listed,
            "has_more": False,
            "first_id": listed[0]["id"],
            "last_id": listed[-1]["id"],
        }
    return {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": CREATED, "owned_by": model.maker}
            for name, model in MODELS.items()
        ],
    }
