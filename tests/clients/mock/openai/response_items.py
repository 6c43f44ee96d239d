"""What OpenAI refuses about the items of an input, where no response is stored.

Source: OpenAI API reference, "Conversation state" and "Reasoning"; answers of the API that people
quote in public issue trackers.
"""

from typing import Any

from tests.clients.mock.refusals import refuse_openai

SEAL = "gAAAAABkThoughtsOfTheMock"  # the encrypted content of everything that is encrypted here
PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
}
CALLS = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "local_shell_call": "local_shell_call_output",
    "shell_call": "shell_call_output",
    "apply_patch_call": "apply_patch_call_output",
}
KINDS = {
    "function_call_output": "function call output",
    "custom_tool_call_output": "custom tool call output",
}
MAX_ID_LENGTH = 64
Body = dict[str, Any]


def check(items: list[Body], stored: dict[str, Body], *, thinks: bool) -> None:
    """Raise Refused for items that cannot stand there.

    `stored` has the items of stored responses. `thinks` is True if the model reasons.
    """
    items = look_up(items, stored)
    for index, item in enumerate(items):
        _check_id(item, index)
        if item.get("type") == "item_reference":
            raise _refuse_stored(item["id"])
        if item.get("type") in ("reasoning", "compaction") and item.get("id") not in stored:
            _check_encrypted(item)
        if item.get("type") == "reasoning" and thinks:
            _check_follower(items, index)
    _check_pairs(items)


def look_up(items: list[Body], stored: dict[str, Body]) -> list[Body]:
    """Return the items, with the stored ones instead of the references to them."""
    return [
        stored.get(item["id"], item) if item.get("type") == "item_reference" else item
        for item in items
    ]


def complete(item: Any) -> Any:
    """Return an item as its type asks for it.

    A message of the assistant can be sent back with its role and its parts alone.
    """
    if not isinstance(item, dict) or item.get("role") != "assistant":
        return item
    parts = item.get("content")
    if item.get("type", "message") != "message" or not isinstance(parts, list):
        return item
    whole = {"type": "message", "id": "msg_0", "status": "completed", **item}
    return {**whole, "content": [_complete_part(part) for part in parts]}


def _complete_part(part: Any) -> Any:
    is_text = isinstance(part, dict) and part.get("type") == "output_text"
    return {"annotations": [], **part} if is_text else part


def _check_id(item: Body, index: int) -> None:
    prefix, written = PREFIXES.get(item.get("type", "message")), item.get("id")
    if not prefix or written is None:
        return
    if not written.startswith(prefix):
        raise refuse_openai(
            f"Invalid 'input[{index}].id': '{written}'. Expected an ID that begins with"
            f" '{prefix}'.",
            param=f"input[{index}].id",
            code="invalid_value",
        )
    if len(written) > MAX_ID_LENGTH:
        raise refuse_openai(
            f"Invalid 'input[{index}].id': string too long. Expected a string with maximum length"
            f" {MAX_ID_LENGTH}, but got a string with length {len(written)} instead.",
            param=f"input[{index}].id",
            code="string_above_max_length",
        )


def _check_encrypted(item: Body) -> None:
    encrypted = item.get("encrypted_content")
    if not encrypted:
        raise _refuse_stored(str(item.get("id")))
    if encrypted != SEAL:
        raise refuse_openai(
            f"The encrypted content {encrypted[:8]}... could not be verified. Reason: Encrypted"
            " content could not be decrypted or parsed.",
            code="invalid_encrypted_content",
        )


def _refuse_stored(name: str) -> Exception:
    return refuse_openai(
        f"Item with id '{name}' not found. Items are not persisted when `store` is set to false."
        " Try again with `store` set to true, or remove this item from your input.",
        param="input",
        status=404,
    )


def _check_follower(items: list[Body], index: int) -> None:
    """Refuse a reasoning item that is followed by nothing that the model said."""
    after = items[index + 1] if index + 1 < len(items) else {}
    said = after.get("type", "message") in (*CALLS, "reasoning") or after.get("role") == "assistant"
    if not said:
        raise refuse_openai(
            f"Item '{items[index].get('id')}' of type 'reasoning' was provided without its required"
            " following item.",
            param="input",
        )


def _check_pairs(items: list[Body]) -> None:
    """Refuse calls of tools without their outputs, and outputs without their calls."""
    called = {item.get("call_id") for item in items if item.get("type") in CALLS}
    answered = {item.get("call_id") for item in items if item.get("type") in CALLS.values()}
    for item in items:
        kind = item.get("type")
        if kind in CALLS and item["call_id"] not in answered:
            what = (
                "function"
                if kind == "function_call"
                else kind.removesuffix("_call").replace("_", " ")
            )
            raise refuse_openai(
                f"No tool output found for {what} call {item['call_id']}.", param="input"
            )
        if kind in CALLS.values() and item["call_id"] not in called:
            raise refuse_openai(
                f"No tool call found for {KINDS.get(str(kind), kind)} with call_id"
                f" {item['call_id']}.",
                param="input",
            )
