"""The parameters of `/v1/responses`.

Source: OpenAI API reference, "Create a model response", and those that groups.py names.
"""

from django.utils.translation import gettext_lazy

from llmproxy.routes import kinds
from llmproxy.routes.kinds import OBJECT, STRING, Content, Strings
from llmproxy.routes.parameters import (
    LIMIT,
    MODEL,
    SAMPLING,
    STREAM,
    TOOLS,
    Parameter,
    Parameters,
    drop,
    forward,
    limits,
    refuse,
)
from llmproxy.routes.tables import groups

MAX_ITEMS = 10_000
LIMITS = ("max_output_tokens", "max_completion_tokens", "max_tokens")
PARAMETERS = Parameters(
    *refuse(
        gettext_lazy(
            "%(name)s is not available here. Send everything that the model needs in input."
        ),
        "previous_response_id conversation background prompt",
        "The provider would store it in the operator's account, where other callers could reach "
        "it, and its tokens have no known bound.",
    ),
    *SAMPLING,
    Parameter("reasoning", OBJECT),
    TOOLS,
    Parameter(
        "input",
        Content({"anyOf": [kinds.TEXT, kinds.describe_list(OBJECT.schema(), MAX_ITEMS)]}),
        is_required=True,
    ),
    STREAM,
    Parameter("instructions", STRING),
    Parameter("text", OBJECT),
    Parameter("include", Strings()),
    MODEL,
    Parameter("max_output_tokens", LIMIT, is_forwarded=False),
    *limits("max_completion_tokens", "max_tokens"),
    *forward(
        "It says which tools the model may call, and how often.",
        "parallel_tool_calls tool_choice",
        whole="max_tool_calls",
    ),
    *forward("It changes how events or images are sent.", "stream_options image"),
    *groups.THINKING,
    *groups.OUTPUT_FORMS,
    *groups.SAMPLERS,
    *groups.PROMPT_CACHES,
    *groups.SAFETY,
    *groups.PROMPT_FORMS,
    *groups.EVERYWHERE,
    *drop(
        "It makes the provider write a summary, which the limit of the answer does not include.",
        "context_management",
    ),
    *drop("No answer is computed in the background.", "background_options"),
    *drop("These programs belong to the operator's account.", "access_programs"),
    *drop(
        "It describes the caller's installation, which the provider need not know.",
        "client_metadata",
    ),
)
