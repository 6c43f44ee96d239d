"""The parameters of `/v1/chat/completions`.

Source: OpenAI API reference, "Create chat completion", and those that groups.py names.
"""

from accounts.toolbox.openapi import ref
from llmproxy.routes import kinds
from llmproxy.routes.kinds import Content, Strings
from llmproxy.routes.parameters import (
    CHOICES,
    LIMIT,
    MODEL,
    SAMPLING_WITH_PENALTIES,
    STREAM_WITH_OPTIONS,
    TOOLS,
    UNMETERED,
    Parameter,
    Parameters,
    drop,
    forward,
    limits,
    refuse,
)
from llmproxy.routes.tables import groups

MAX_MESSAGES = 10_000
# Both names of the limit, the newer first: the newer wins where both are sent.
LIMITS = ("max_completion_tokens", "max_tokens")
PARAMETERS = Parameters(
    *refuse(UNMETERED, "audio", "Speech costs a multiple of text, and the caller waits for it."),
    Parameter(
        "messages", Content(kinds.describe_list(ref("ChatMessage"), MAX_MESSAGES)), is_required=True
    ),
    *SAMPLING_WITH_PENALTIES,
    TOOLS,
    *(Parameter(name, LIMIT, is_forwarded=False) for name in LIMITS),
    *limits("max_output_tokens"),
    Parameter("n", CHOICES),
    *STREAM_WITH_OPTIONS,
    MODEL,
    Parameter("modalities", Strings(), "Speech is not offered: `audio` is dropped."),
    *forward(
        "It says which tools the model may call, or what it reads besides the messages.",
        "documents function_call functions parallel_tool_calls tool_choice tool_stream",
    ),
    *groups.THINKING,
    *groups.OUTPUT_FORMS,
    *groups.SAMPLERS,
    *groups.PROMPT_CACHES,
    *groups.SAFETY,
    *groups.PROMPT_FORMS,
    *forward(
        "It filters what a model that always searches may read.",
        """
        search_domain_filter search_recency_filter search_after_date_filter
        search_before_date_filter search_mode return_images return_related_questions
        """,
    ),
    *forward("The size of an image in the answer, whose tokens are metered.", "image_config"),
    *forward("It asks for usage, which is always asked for.", "usage"),
    *forward(
        "Google's parameters. Only `google.thinking_config` and the like: what is cached in the "
        "operator's account is not reached. Other members of `extra_body` are read as parameters.",
        "extra_body",
    ),
    *drop("The rejected tokens of a prediction are charged like those of an answer.", "prediction"),
    *groups.EVERYWHERE,
)
