"""The parameters of `/v1/completions`.

Source: OpenAI API reference, "Create completion" (legacy), and those that groups.py names.
"""

from llmproxy.routes import kinds
from llmproxy.routes.kinds import BOOLEAN, STRING, Content, Integer
from llmproxy.routes.parameters import (
    CHOICES,
    LIMIT,
    MODEL,
    SAMPLING_WITH_PENALTIES,
    STREAM_WITH_OPTIONS,
    Parameter,
    Parameters,
    limits,
)
from llmproxy.routes.tables import groups

MAX_PROMPTS = 64
MAX_LOGPROBS = 20
DEFAULT_MAX_TOKENS = 16  # the default of the API, which few clients change
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
PARAMETERS = Parameters(
    Parameter("prompt", Content(kinds.describe_texts(MAX_PROMPTS)), is_required=True),
    *SAMPLING_WITH_PENALTIES,
    Parameter("logprobs", Integer(0, MAX_LOGPROBS)),
    *STREAM_WITH_OPTIONS,
    Parameter("n", CHOICES),
    Parameter("echo", BOOLEAN),
    MODEL,
    Parameter("suffix", STRING),
    Parameter("max_tokens", LIMIT, f"{DEFAULT_MAX_TOKENS} if absent.", is_forwarded=False),
    *limits("max_completion_tokens", "max_output_tokens"),
    Parameter("best_of", CHOICES, "All generated answers are charged."),
    *groups.THINKING,
    *groups.OUTPUT_FORMS,
    *groups.SAMPLERS,
    *groups.PROMPT_CACHES,
    *groups.SAFETY,
    *groups.PROMPT_FORMS,
    *groups.EVERYWHERE,
)
