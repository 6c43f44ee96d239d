"""Which of our models a provider means: it names them differently in each of its exports. Pure."""

import re

# A snapshot, or a variant of OpenRouter, at the end of a name.
SNAPSHOT = re.compile(r"[-@ ]?(\d{4}-\d{2}-\d{2}|20\d{6}|latest)\Z|:[a-z]+\Z")
SEPARATORS = re.compile(r"[ ._]+")


def normalise_model(name: str) -> str:
    """The name without snapshot, variant, case and punctuation: `Claude Haiku 4.5` of Anthropic's
    bill is `claude-haiku-4-5`, as is `claude-haiku-4-5-20251001`.
    """
    lowered = name.strip().lower()
    while (shorter := SNAPSHOT.sub("", lowered)) != lowered:
        lowered = shorter
    return SEPARATORS.sub("-", lowered).strip("-")
