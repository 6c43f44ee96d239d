"""How objects are shown: copied, expanded, and in pages of a list."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

from smartspec.local.fake_stripe.memory.calls import Call
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.wire.refusals import InvalidRequest, UnknownObject

Json = dict[str, Any]
MAX_EXPAND_DEPTH = 4
DEFAULT_LIMIT = 10
LIMITS = range(1, 101)


def show(call: Call, result: Entry | Json) -> Json:
    """Return what the answer shows, with what `expand` asks for."""
    shown = copy.deepcopy(result.object if isinstance(result, Entry) else result)
    for path in call.params.get("expand", []):
        parts = path.split(".")
        if len(parts) > MAX_EXPAND_DEPTH:
            raise InvalidRequest(
                f"You cannot expand more than {MAX_EXPAND_DEPTH} levels of a property.",
                param="expand",
            )
        _expand(call.state, shown, parts, path)
    return shown


def _expand(state: State, shown: Any, parts: list[str], path: str) -> None:
    if not parts:
        return
    for one in shown if isinstance(shown, list) else [shown]:
        if not isinstance(one, dict):
            raise _refuse(path)
        if parts[0] not in one:
            one[parts[0]] = _include(state, one, parts[0], path)
        elif isinstance(one[parts[0]], str):
            one[parts[0]] = _look_up(state, one[parts[0]], path)
        if one[parts[0]] is not None:
            _expand(state, one[parts[0]], parts[1:], path)


def _look_up(state: State, object_id: str, path: str) -> Json:
    entry = state.find_any(object_id)
    if entry is None:
        raise _refuse(path)
    return copy.deepcopy(entry.object)


def _include(state: State, owner: Json, name: str, path: str) -> Json:
    """Return a list that an object has only when it is asked for."""
    key = (owner.get("object", ""), name)
    if key not in INCLUDABLE:
        raise _refuse(path)
    return INCLUDABLE[key](state, owner)


def _refuse(path: str) -> InvalidRequest:
    return InvalidRequest(
        f"This property cannot be expanded ({path}). You may want to try expanding"
        f" 'data.{path}' instead.",
        param="expand",
    )


def make_list(data: list[Json], url: str, *, has_more: bool = False) -> Json:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def list_inside(entries: Iterable[Entry], url: str) -> Json:
    """Return a list as it stands inside another object: the newest ten first."""
    data = [copy.deepcopy(entry.object) for entry in entries][::-1]
    return make_list(data[:DEFAULT_LIMIT], url, has_more=len(data) > DEFAULT_LIMIT)


def list_objects(
    call: Call,
    kind: str,
    url: str,
    *,
    filters: Iterable[str] = (),
    keep: Callable[[Entry], bool] = lambda _entry: True,
) -> Json:
    """Return a page of the objects of this mode, the newest first.

    `filters` are parameters that have to equal the attribute of the same name.
    """
    facts = {name: call.params[name] for name in filters if name in call.params}
    found = [
        entry.object
        for entry in call.state.select(kind, **facts)
        if entry.livemode in (None, call.livemode)
        and not entry.object.get("deleted")
        and is_created_in(entry.object, call.params.get("created"))
        and keep(entry)
    ]
    return take_page(call, kind, found[::-1], url)


def is_created_in(obj: Json, bounds: Json | int | None) -> bool:
    if bounds is None:
        return True
    if isinstance(bounds, int):
        return bool(obj["created"] == bounds)
    at = obj["created"]
    return bool(
        at > bounds.get("gt", at - 1)
        and at >= bounds.get("gte", at)
        and at < bounds.get("lt", at + 1)
        and at <= bounds.get("lte", at)
    )


def take_page(call: Call, kind: str, found: list[Json], url: str) -> Json:
    """Cut the page that `limit`, `starting_after` or `ending_before` name."""
    limit = call.params.get("limit", DEFAULT_LIMIT)
    if limit not in LIMITS:
        raise InvalidRequest("Limit must be between 1 and 100.", param="limit")
    ids = [one["id"] for one in found]
    if after := call.params.get("starting_after"):
        start = _find_index(ids, after, kind, "starting_after") + 1
        page, rest = found[start : start + limit], found[start + limit :]
    elif before := call.params.get("ending_before"):
        end = _find_index(ids, before, kind, "ending_before")
        page, rest = found[max(end - limit, 0) : end], found[: max(end - limit, 0)]
    else:
        page, rest = found[:limit], found[limit:]
    return make_list(page, url, has_more=bool(rest))


def _find_index(ids: list[str], object_id: str, kind: str, param: str) -> int:
    if object_id not in ids:
        raise UnknownObject(f"No such {kind}: '{object_id}'", param=param)
    return ids.index(object_id)


# What an object shows only when it is expanded; the modules of objects write it.
INCLUDABLE: dict[tuple[str, str], Callable[[State, Json], Json]] = {}
