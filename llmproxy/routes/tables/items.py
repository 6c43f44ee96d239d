"""Items of a Responses input: what a client sends back of earlier answers, and adds.

No answer is stored at the provider (`store` is off), so an item has to bring its own content. An
item that only names what would be stored is refused. Items of tools that the provider runs are left
out, as these tools are. So are reasoning items without `encrypted_content`, which the provider
would look up.

Sources: OpenAI API reference, "Conversation state", "Reasoning"; openai-agents-python #919, #1756;
vercel/ai #7543, #13234; langchain-openai, which removes ids where nothing is stored.
"""

from typing import Any

from django.utils.translation import gettext as _

from llmproxy.exceptions import InvalidRequest
from llmproxy.routes import kinds, request_body
from llmproxy.routes.request_body import Body
from llmproxy.routes.tables import tools

FORWARDED = {
    "message": "A message brings its content.",
    "function_call": "The caller runs the tool.",
    "function_call_output": "The caller ran the tool.",
    "custom_tool_call": "The caller runs the tool.",
    "custom_tool_call_output": "The caller ran the tool.",
    "local_shell_call": "The caller runs the command.",
    "local_shell_call_output": "The caller ran the command.",
    "shell_call": "The caller runs the commands.",
    "shell_call_output": "The caller ran the commands.",
    "apply_patch_call": "The caller changes the file.",
    "apply_patch_call_output": "The caller changed the file.",
    "configuration_update": "It changes how much effort the model makes from here on.",
    "additional_tools": "Its tools are treated like those of `tools`.",
    "tool_search_call": "Only of a search that the caller runs.",
    "tool_search_output": "Only of a search that the caller ran. Its tools are treated like those "
    "of `tools`.",
    "reasoning": "Only with `encrypted_content`: without it the provider looks up what it never "
    "stored.",
    "compaction": "Only with `encrypted_content`.",
    "compaction_summary": "Only with `encrypted_content`.",
}
LEFT_OUT = {
    "web_search_call": "It belongs to a tool that the provider runs.",
    "file_search_call": "It belongs to a tool that the provider runs.",
    "code_interpreter_call": "It belongs to a tool that the provider runs.",
    "image_generation_call": "It belongs to a tool that the provider runs.",
    "computer_call": "It belongs to a tool that is left out.",
    "computer_call_output": "It belongs to a tool that is left out.",
    "mcp_list_tools": "It belongs to a tool that the provider runs.",
    "mcp_call": "It belongs to a tool that the provider runs.",
    "mcp_approval_request": "It belongs to a tool that the provider runs.",
    "mcp_approval_response": "It belongs to a tool that the provider runs.",
    "program": "It belongs to a tool that the provider runs.",
    "program_output": "It belongs to a tool that the provider runs.",
}
REFUSED = {
    "item_reference": "Nothing is stored to which it could refer.",
    "compaction_trigger": "It makes the provider write a summary instead of an answer.",
}
# Items whose content cannot be missing, unless they are only references.
ESSENTIAL = {
    "message": "content",
    "compaction": "encrypted_content",
    "compaction_summary": "encrypted_content",
}
# Items of tools that a caller or a provider can run.
MAY_BE_PROVIDERS = ("shell_call", "tool_search_call", "tool_search_output")
# Items that are sent as they are, while nothing before them is left out.
ALWAYS_KEPT = frozenset(
    """
    message function_call function_call_output custom_tool_call custom_tool_call_output
    local_shell_call local_shell_call_output shell_call_output apply_patch_call
    apply_patch_call_output configuration_update compaction
    """.split()  # noqa: SIM905 – a list of a dozen strings would take a dozen lines
)
# Items of an answer that can be sent without their id.
WITH_ID = ("message", "function_call", "custom_tool_call")


def select(items: list[Any]) -> tuple[list[tuple[str, Body]], list[str]]:
    """Return the items that a provider gets, with their places, and the names of all others.

    Raises InvalidRequest for a malformed item, and for one that refers to what would be stored.
    """
    sorter = _Sorter()
    for index, item in enumerate(items):
        sorter.take(f"input.{index}", item)
    return sorter.kept, sorter.dropped


class _Sorter:
    """Sorts the items in their order: what is left out changes what may follow it."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, Body]] = []
        self.dropped: list[str] = []
        self._calls_left_out: set[str] = set()
        self._has_lost_thoughts = False  # since the last message that is not the model's

    def take(self, param: str, item: Any) -> None:
        kind = _read_kind(param, item)
        if kind in ALWAYS_KEPT and not self.dropped and "caller" not in item:
            self.kept.append((param, item))  # the way of almost all items, which can be thousands
            return
        if not self._is_kept(param, item, kind):
            self._leave_out(param, item, kind)
            return
        if kind == "reasoning" or (kind == "message" and item.get("role") != "assistant"):
            self._has_lost_thoughts = False
        elif self._has_lost_thoughts and kind in WITH_ID:
            # The provider knows by the id that thoughts belong to it, and would miss them.
            item.pop("id", None)
        caller = item.get("caller")
        if isinstance(caller, dict) and caller.get("type") == "program":
            del item["caller"]  # the program is left out
            self.dropped.append(f"{param}.caller")
        self.kept.append((param, item))

    def _is_kept(self, param: str, item: Body, kind: str) -> bool:
        if kind not in FORWARDED or self._answers_left_out(item):
            return False
        if kind == "reasoning":
            return bool(item.get("encrypted_content"))
        if kind in ("additional_tools", "tool_search_output"):
            return self._sort_tools(param, item) and _is_clients(item, kind)
        return kind not in MAY_BE_PROVIDERS or _is_clients(item, kind)

    def _answers_left_out(self, item: Body) -> bool:
        """True for the output of a call that is left out."""
        call = item.get("call_id") if self._calls_left_out else None
        return isinstance(call, str) and call in self._calls_left_out

    def _sort_tools(self, param: str, item: Body) -> bool:
        """Treat the tools of an item like those of the request; False if none is left."""
        listed = item.get("tools")
        if not isinstance(listed, list):
            raise kinds.build_malformed_tool_refusal(f"{param}.tools")
        kept, left_out = tools.sort(listed, f"{param}.tools", tools.RESPONSES)
        if left_out:
            item["tools"] = [tool for _param, tool in kept]
            self.dropped += [gone.label for gone in left_out]
        return bool(kept) or not left_out

    def _leave_out(self, param: str, item: Body, kind: str) -> None:
        self.dropped.append(f"{param} ({kind})")
        if isinstance(call := item.get("call_id"), str):
            self._calls_left_out.add(call)
        if kind.endswith("_call") and self.kept and self.kept[-1][1].get("type") == "reasoning":
            # Thoughts are refused without the item that follows them.
            self.dropped.append(f"{self.kept.pop()[0]} (reasoning)")
            self._has_lost_thoughts = True
        self._has_lost_thoughts |= kind == "reasoning"


def _is_clients(item: Body, kind: str) -> bool:
    """False for what a provider would run, although callers can run such a tool too."""
    if kind == "shell_call":
        return tools.is_local_shell(item)
    return kind == "additional_tools" or item.get("execution") == "client"


def _read_kind(param: str, item: Any) -> str:
    """Return the type of an item. Raises InvalidRequest if it has none, or is only a reference."""
    if not isinstance(item, dict):
        raise request_body.build_unknown_type_refusal(param)
    kind = item.get("type") or ("message" if "role" in item else "item_reference")
    if not isinstance(kind, str) or (kind == "item_reference" and "id" not in item):
        raise request_body.build_unknown_type_refusal(param)
    is_empty = kind in ESSENTIAL and item.get(ESSENTIAL[kind]) is None
    if kind == "item_reference" or (is_empty and ("id" in item or kind != "message")):
        raise InvalidRequest(
            _(
                "%(param)s refers to something that the provider would have stored, and nothing is "
                "stored here (store: false). Send the item itself, as the answer had it; for "
                'reasoning items with include: ["reasoning.encrypted_content"].'
            )
            % {"param": param},
            param=param,
        )
    if kind in REFUSED:
        raise request_body.build_unknown_type_refusal(param)
    return kind
