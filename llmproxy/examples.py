"""The same call in several languages and clients, to copy: for a new key, and for the handbook.

The texts are in templates/llmproxy/examples/. A line `--- name` begins a step: `terminal` is what
to type into a shell, any other name is the file to save. tests/clients/test_examples.py and
`make clients` run all of them.
"""

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.template.loader import render_to_string

from llmproxy.models import LanguageModel
from llmproxy.models.choices import Endpoint

VARIABLE = "SMARTSPEC_API_KEY"  # the environment variable with the key, in all examples
TERMINAL = "terminal"
QUESTION = "Say hello."
_STEP = re.compile(r"^--- (.+)\n", re.MULTILINE)
# Providers do not say which models write text, so names with these words are skipped.
_NOT_WRITING = re.compile(
    r"embed|instruct|whisper|tts|rerank|moderation|dall-e|image", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Step:
    """A block to copy. `file` is the name of the file to save; empty for a command in a shell."""

    code: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """`title` is a proper name, the same in every language."""

    slug: str
    title: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class _Client:
    """A language or client: the route that it calls, and names of models that suit it best."""

    title: str
    endpoint: Endpoint
    prefers: tuple[str, ...] = ()


CLIENTS = {
    "curl": _Client("curl", Endpoint.CHAT),
    "python": _Client("Python", Endpoint.CHAT),
    "javascript": _Client("JavaScript", Endpoint.CHAT),
    "openai_python": _Client("OpenAI SDK, Python", Endpoint.CHAT),
    "openai_javascript": _Client("OpenAI SDK, JavaScript", Endpoint.CHAT),
    "anthropic_python": _Client("Anthropic SDK, Python", Endpoint.MESSAGES, ("claude",)),
    "anthropic_javascript": _Client("Anthropic SDK, JavaScript", Endpoint.MESSAGES, ("claude",)),
    "claude_code": _Client("Claude Code", Endpoint.MESSAGES, ("claude-sonnet", "claude")),
    "codex": _Client("Codex", Endpoint.RESPONSES, ("codex", "gpt")),
}


def list_examples(models: Iterable[LanguageModel], origin: str = "") -> list[Example]:
    """Write the examples for the models of a user, those of `catalogue.list_models`.

    A client is left out if none of the models has the route that it calls. `origin` is the address
    of the site without a slash at its end, PUBLIC_ORIGIN if it is empty.
    """
    names = {endpoint: _list_names(models, endpoint) for endpoint in Endpoint}
    return [
        write_example(slug, choose_model(names[client.endpoint], client.prefers), origin)
        for slug, client in CLIENTS.items()
        if names[client.endpoint]
    ]


def write_example(slug: str, model: str, origin: str = "") -> Example:
    """Write one of CLIENTS for a model by its name."""
    content = json.dumps({"model": model, "messages": [{"role": "user", "content": QUESTION}]})
    context = {
        "origin": origin or settings.PUBLIC_ORIGIN,
        "question": QUESTION,
        "model": json.dumps(model, ensure_ascii=False),  # as Python, JavaScript and TOML write it
        "shell_model": shlex.quote(model),
        "shell_body": shlex.quote(content),
        "variable": VARIABLE,
    }
    text = render_to_string(f"llmproxy/examples/{slug}.txt", context)
    return Example(slug, CLIENTS[slug].title, split_steps(text))


def choose_model(names: Sequence[str], prefers: Sequence[str]) -> str:
    """Return the first name that begins with or contains what is preferred, else the first."""
    for part in prefers:
        for name in names:
            if part in name.lower():
                return name
    return names[0]


def _list_names(models: Iterable[LanguageModel], endpoint: Endpoint) -> list[str]:
    """Return the names of the models with this route, those that certainly write text first."""
    names = [model.name for model in models if _serves(model, endpoint)]
    return sorted(names, key=lambda name: bool(_NOT_WRITING.search(name)))


def _serves(model: LanguageModel, endpoint: Endpoint) -> bool:
    return any(
        row.is_active and row.provider.is_active and endpoint in row.provider.endpoints
        for row in model.deployments.all()
    )


def split_steps(text: str) -> tuple[Step, ...]:
    """Cut the text of a template at its `--- name` lines; the text before the first is not used."""
    _before, *parts = _STEP.split(text)
    names, codes = parts[::2], parts[1::2]
    return tuple(
        Step(code.strip("\n"), "" if name == TERMINAL else name)
        for name, code in zip(names, codes, strict=True)
    )
