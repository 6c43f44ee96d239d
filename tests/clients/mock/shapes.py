"""Compare a value with a type that an official SDK publishes for requests.

The SDKs describe a request by TypedDicts, unions and literals, which are generated from the maker's
own OpenAPI document. A union is decided by the members `type` and `role`.
"""

import collections.abc
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin

from typing_extensions import get_type_hints, is_typeddict

WORDS = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """What is wrong at this path: `missing`, `extra`, `type` or `value`.

    `expected` is the word for the right type, or the right values. `tags` has the `type` of each
    union that was decided on the way, by the length of the path at which it stands.
    """

    path: Path
    kind: str
    expected: Any = None
    got: Any = None
    tags: tuple[tuple[int, str], ...] = ()

    @property
    def word(self) -> str:
        """The word for the type of the wrong value."""
        if isinstance(self.got, dict):
            return "object"
        return "array" if isinstance(self.got, list) else WORDS.get(type(self.got), "value")


def find_problems(value: Any, kind: Any, path: Path = ()) -> Iterator[Problem]:
    """Yield what is wrong with the value, in the order of its members."""
    origin = get_origin(kind)
    if origin in (Required, NotRequired):
        yield from find_problems(value, get_args(kind)[0], path)
    elif origin in (Union, types.UnionType):
        yield from _compare_union(value, kind, path)
    elif origin is Literal:
        if value not in get_args(kind):
            yield Problem(path, "value", get_args(kind), value)
    elif is_typeddict(kind) or origin is not None:
        yield from _compare_inside(value, kind, path)
    elif kind in WORDS and not _is_instance(value, kind):
        yield Problem(path, "type", WORDS[kind], value)


def _compare_inside(value: Any, kind: Any, path: Path) -> Iterator[Problem]:
    """Yield the problems with the members of an object or a list."""
    origin = get_origin(kind)
    if is_typeddict(kind):
        yield from _compare_object(value, kind, path)
    elif origin is dict:
        yield from _compare_map(value, get_args(kind)[1], path)
    elif origin in (list, collections.abc.Iterable) or _is_sequence(origin):
        yield from _compare_list(value, get_args(kind)[0], path)


def _is_sequence(origin: Any) -> bool:
    return getattr(origin, "__name__", "") == "SequenceNotStr"


def _is_instance(value: Any, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _compare_object(value: Any, kind: Any, path: Path) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(path, "type", "object", value)
        return
    hints = list_members(kind)
    for name, hint in hints.items():
        if name in value:
            yield from find_problems(value[name], hint, (*path, name))
        elif get_origin(hint) is Required:
            yield Problem((*path, name), "missing")
    for name in value.keys() - hints.keys():
        yield Problem((*path, name), "extra", got=value[name])


@cache
def list_members(kind: Any) -> dict[str, Any]:
    """Return the types of the members of a TypedDict by their names.

    The SDKs mark each member that has to be there as `Required`, and no other. They write types as
    texts, which `__required_keys__` cannot read.
    """
    return get_type_hints(kind, include_extras=True)


def _compare_list(value: Any, kind: Any, path: Path) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield Problem(path, "type", "array", value)
        return
    for index, one in enumerate(value):
        yield from find_problems(one, kind, (*path, index))


def _compare_map(value: Any, kind: Any, path: Path) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(path, "type", "object", value)
        return
    for name, one in value.items():
        yield from find_problems(one, kind, (*path, name))


def _compare_union(value: Any, kind: Any, path: Path) -> Iterator[Problem]:
    """Yield the problems with the alternative that the value means; it is the best that fits."""
    alternatives = [one for one in _flatten(kind) if one is not Any]
    if not isinstance(value, dict):
        yield from _find_best(value, alternatives, path)
        return
    objects = [one for one in alternatives if is_typeddict(one)]
    meant = [one for one in objects if _has_tags_of(value, one)]
    if objects and not meant and isinstance(value.get("type"), str):
        yield Problem((*path, "type"), "value", _list_tags(objects), value["type"])
        return
    tag = value.get("type")
    for problem in _find_best(value, meant or alternatives, path):
        tags = ((len(path), tag), *problem.tags) if isinstance(tag, str) else problem.tags
        yield Problem(problem.path, problem.kind, problem.expected, problem.got, tags)


def _find_best(value: Any, alternatives: list[Any], path: Path) -> list[Problem]:
    """Return the problems with the alternative that has none, or whose first is the deepest."""
    best: list[Problem] = []
    for alternative in alternatives:
        problems = list(find_problems(value, alternative, path))
        if not problems:
            return []
        if not best or (len(problems[0].path), -len(problems)) > (len(best[0].path), -len(best)):
            best = problems
    return best


def _flatten(kind: Any) -> Iterator[Any]:
    for one in get_args(kind):
        if get_origin(one) in (Union, types.UnionType):
            yield from _flatten(one)
        else:
            yield one


def _has_tags_of(value: dict[str, Any], kind: Any) -> bool:
    """True if the value has the `type` and the `role` that this TypedDict asks for."""
    hints = list_members(kind)
    for name in ("type", "role"):
        allowed = _list_literals(hints.get(name))
        if not allowed:
            continue
        if name in value and value[name] not in allowed:
            return False
        if name not in value and get_origin(hints.get(name)) is Required:
            return False
    return True


def _list_literals(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) in (Required, NotRequired):
        return _list_literals(get_args(hint)[0])
    return get_args(hint) if get_origin(hint) is Literal else ()


def _list_tags(kinds: list[Any]) -> tuple[Any, ...]:
    return tuple(tag for kind in kinds for tag in _list_literals(list_members(kind).get("type")))
