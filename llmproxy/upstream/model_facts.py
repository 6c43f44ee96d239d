"""What a provider's list of models says about one of them, besides its name. Pure.

Sources: the model lists of OpenRouter, Mistral, Together, Groq, Fireworks, Gemini, GitHub Models,
vLLM, llama.cpp and LM Studio.
"""

from collections.abc import Iterator
from typing import Any

# Names of members, and their paths, that have the length of the context in tokens.
CONTEXTS = (
    ("context_length",),
    ("context_window",),
    ("max_context_length",),
    ("max_model_len",),
    ("max_input_tokens",),
    ("inputTokenLimit",),
    ("input_token_limit",),
    ("loaded_context_length",),
    ("meta", "n_ctx"),
    ("meta", "n_ctx_train"),
    ("limits", "max_input_tokens"),
    ("capabilities", "limits", "max_context_window_tokens"),
)
MODALITIES = (
    ("architecture", "input_modalities"),
    ("input_modalities",),
    ("supported_input_modalities",),
    ("modalities", "input"),
)
IMAGES = (("capabilities", "vision"), ("supports_vision",), ("supports_image_input",))
AUDIO = (("capabilities", "audio"), ("supports_audio_input",))
TOOLS = (("capabilities", "function_calling"), ("supports_tools",), ("supports_function_calling",))
# Lists of all parameters that a model takes, and of some things that it can do.
PARAMETERS, FEATURES = (("supported_parameters",),), (("features",), ("supported_features",))
TOOL_WORDS = frozenset({"tools", "tool_use", "tool-use", "function-calling", "function_calling"})
MOST_TOKENS = 2**31 - 1
LEAST_TOKENS = 128  # a smaller number is none


def read_facts(row: Any) -> dict[str, Any]:
    """The columns of LanguageModel that a row of the list tells; others are left out."""
    if not isinstance(row, dict):
        return {}
    facts = {
        "context_tokens": _find_count(row),
        "sees_images": _find_modality(row, "image", IMAGES),
        "hears_audio": _find_modality(row, "audio", AUDIO),
        "calls_tools": _find_tools(row),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _find_count(row: dict[str, Any]) -> int | None:
    for value in _find(row, CONTEXTS):
        if type(value) is int and LEAST_TOKENS <= value <= MOST_TOKENS:
            return value
    return None


def _find_modality(row: dict[str, Any], name: str, flags: Any) -> bool | None:
    for value in _find(row, MODALITIES):
        if isinstance(value, list) and value:
            return any(isinstance(one, str) and one.lower() == name for one in value)
    return _find_flag(row, flags)


def _find_tools(row: dict[str, Any]) -> bool | None:
    for paths, has_all in ((PARAMETERS, True), (FEATURES, False)):
        for value in _find(row, paths):
            words = value if isinstance(value, list) else []
            if any(isinstance(word, str) and word in TOOL_WORDS for word in words):
                return True
            if words and has_all:
                return False
    return _find_flag(row, TOOLS)


def _find_flag(row: dict[str, Any], paths: Any) -> bool | None:
    return next((value for value in _find(row, paths) if isinstance(value, bool)), None)


def _find(row: dict[str, Any], paths: Any) -> Iterator[Any]:
    for path in paths:
        value: Any = row
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        yield value
