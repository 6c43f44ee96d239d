"""The parameters of `/v1/messages`.

Source: Anthropic API reference, "Create a Message", with its beta features; those that groups.py
names.
"""

from django.utils.translation import gettext_lazy

from llmproxy.routes import kinds
from llmproxy.routes.kinds import OBJECT, Content, Number, Strings
from llmproxy.routes.parameters import (
    LIMIT,
    MODEL,
    STREAM,
    TOOLS,
    Parameter,
    Parameters,
    drop,
    forward,
    refuse,
)
from llmproxy.routes.tables import groups

MAX_MESSAGES = 100_000
PARAMETERS = Parameters(
    Parameter("temperature", Number(0, 1)),
    Parameter("top_p", Number(0, 1)),
    Parameter("stop_sequences", Strings()),
    TOOLS,
    Parameter(
        "messages", Content(kinds.describe_list(kinds.MESSAGE, MAX_MESSAGES)), is_required=True
    ),
    Parameter("system", Content(kinds.CONTENT)),
    Parameter("max_tokens", LIMIT, is_forwarded=False, is_required=True),
    STREAM,
    MODEL,
    Parameter("thinking", OBJECT),
    Parameter("context_management", OBJECT, "Edits that only remove something are forwarded."),
    Parameter("betas", Strings(), "Read like the header `anthropic-beta`.", is_forwarded=False),
    *refuse(
        gettext_lazy("%(name)s is not available here. Send the whole conversation in messages."),
        "thread compaction",
        "The provider would keep the conversation in the operator's account, or answer with a "
        "summary instead of a message.",
    ),
    *forward("Anthropic keeps it only to find abuse: it is no stored answer.", "metadata"),
    *forward(
        "It says which tools the model may call, how much effort it makes, or why a cache missed.",
        "tool_choice output_config diagnostics",
    ),
    *forward("It chooses among the tokens that the model can say next.", whole="top_k"),
    *forward("It gives the answer a form, which is metered as for any answer.", "output_format"),
    *forward(
        "Tokens that are read from a cache or written to it have prices of their own.",
        "cache_control",
    ),
    *groups.THINKING,
    *groups.EVERYWHERE,
    *drop("Anthropic would run code in it, at a price for each hour.", "container"),
    *drop("It decides who pays, which is settled here.", "billing_policy fallback_credit_token"),
    *drop(
        "It belongs to the headers of a request, or to another platform.",
        "anthropic_version anthropic_beta user_profile_id workspace_id",
    ),
)
