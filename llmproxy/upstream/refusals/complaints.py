"""Takes a provider's error out of its envelope. Pure: bytes in, sentences and codes out.

Providers send an object with `error`, a list of such objects (Gemini), a bare string, `detail` as
text or as a list (FastAPI), `errors[]` (Cloudflare), `message`, `Error.Message`,
`fault.faultstring` (Apigee), an error of another provider as JSON inside a text (OpenRouter,
LiteLLM), an event, HTML, or plain text. Sources: the API references of the providers, RFC 9457, and
the issues that tests/llmproxy/wild/test_refusals.py names.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from llmproxy import lenient_json

MAX_DEPTH = 8
MAX_NODES = 300
MAX_TEXT = 4000  # characters of one sentence
# Names of members, in lower case and without separators.
TEXTS = frozenset(
    """
    message msg detail details error errors errormessage errormsg errmsg errordescription
    description statusmsg faultstring reason raw text title explanation cause exception data
    failurereason info
    """.split()  # noqa: SIM905 – a list of strings would take a line for each
)
CODES = frozenset(
    """
    code type status errorcode errortype errcode reason kind name statuscode innercode subcode
    """.split()  # noqa: SIM905
)
PARAMS = frozenset({"param", "parameter", "field", "property", "loc", "pointer", "argument"})
# Members that repeat the request. Their words are the caller's, not the provider's.
ECHOES = frozenset({"input", "body", "messages", "prompt", "headers", "choices", "request", "ctx"})
# Sentences that say nothing; another one of the same error is shown instead.
EMPTY_WORDS = re.compile(
    r"\W*(provider returned error|(internal )?server error|bad request"
    r"|invalid[_ ]request([_ ]error)?|unprocessable entity|validation error"
    r"|error|failed|failure|none|null|object)\W*\Z",
    re.IGNORECASE,
)
MEMBER_ORDER = {"metadata": 0, "raw": 0, "code": 1, "type": 3, "status": 3, "title": 3}
NO_CODE = re.compile(r"\d{3}|error|object|none|null|failed|failure|false|true", re.IGNORECASE)
CODE_JOINTS = re.compile(r"[_\-.]+|(?<=[a-z])(?=[A-Z])")
SEPARATORS = re.compile(r"[_\-@\s]")
TAGS = re.compile(r"(?is)<(script|style)\b.*?</\1\s*>|<[^>]*>")
BODY_PLACES = ("body", "query", "path")  # FastAPI's names for the places of a parameter


@dataclass(slots=True)
class Complaint:
    """An error in a provider's own words.

    `texts` are its sentences, the most specific first; `codes` its codes, types and reasons as they
    are spelt; `params` the names of the parameters that it is about; `status` the HTTP status that
    it names, which may differ from that of the response.
    """

    texts: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    params: list[str] = field(default_factory=list)
    status: int | None = None

    @property
    def message(self) -> str:
        """The sentence to show; empty if there is none."""
        return next((text for text in self.texts if not EMPTY_WORDS.match(text)), "") or next(
            iter(self.texts), ""
        )

    @property
    def code(self) -> str:
        """The code to show: not a status, and not one that all errors share; else empty."""
        return next((code for code in self.codes if not NO_CODE.fullmatch(code)), "")

    @property
    def words(self) -> str:
        """All sentences and codes as one text, to be searched. Codes are there as words too."""
        plain = (CODE_JOINTS.sub(" ", code) for code in self.codes)
        return "\n".join([*self.texts, *self.codes, *plain])


def parse_complaint(raw: bytes) -> Complaint:
    """The error in the body of a response or in the data of an event."""
    text = raw.decode("utf-8", errors="replace").lstrip("\ufeff").strip()
    complaint = Complaint()
    reader = _Reader(complaint)
    if (value := _decode(text)) is not None:
        reader.read(value)
    elif text.startswith("<"):
        _add(complaint.texts, " ".join(html.unescape(TAGS.sub(" ", text)).split())[:300])
    else:
        _add(complaint.texts, text)
    return complaint


def _decode(text: str) -> Any:
    """The JSON of a body, also of one in the form of an event; None if it is none."""
    if text.startswith(("data:", "event:")):
        lines = (line.partition(":") for line in text.splitlines())
        text = "".join(value for name, _sign, value in lines if name == "data").strip()
    return lenient_json.decode(text.encode(errors="replace"))


class _Reader:
    """Walks through the JSON of an error, to a bounded depth and number of values."""

    def __init__(self, complaint: Complaint) -> None:
        self._complaint = complaint
        self._nodes_left = MAX_NODES

    def read(self, value: Any, name: str = "error", depth: int = 0) -> None:
        self._nodes_left -= 1
        if depth > MAX_DEPTH or self._nodes_left < 0:
            return
        if isinstance(value, dict):
            self._read_object(value, name, depth)
        elif isinstance(value, list) and name != "loc":
            for one in value:
                self.read(one, name, depth + 1)
        else:
            self._read_value(value, name, depth)

    def _read_object(self, value: dict[str, Any], name: str, depth: int) -> None:
        if (sentence := _build_sentence(value)) is not None:
            _add(self._complaint.texts, sentence)
        if name == "errors" and depth:
            self._read_names(value)
        for member, inner in _sort_members(value):
            if member == "response" and isinstance(inner, dict):  # OpenAI's `response.failed`
                inner = inner.get("error")
            if member not in ECHOES:
                self.read(inner, member, depth + 1)

    def _read_names(self, value: dict[str, Any]) -> None:
        """Errors by the names of the parameters, such as `{"api_key": ["is invalid"]}`."""
        for param, texts in value.items():
            for text in texts if isinstance(texts, list) else [texts]:
                if isinstance(text, str) and SEPARATORS.sub("", param).lower() not in TEXTS | CODES:
                    _add(self._complaint.texts, f"{param} {text}")
                    _add(self._complaint.params, param)

    def _read_value(self, value: Any, name: str, depth: int) -> None:
        complaint = self._complaint
        if name in PARAMS and (param := _read_param(value)):
            _add(complaint.params, param)
        if name in CODES and not isinstance(value, bool) and isinstance(value, str | int):
            self._read_code(str(value))
        if name in TEXTS and isinstance(value, str):
            self._read_text(value, depth)

    def _read_code(self, code: str) -> None:
        if code.isascii() and code.isdigit() and 400 <= int(code[:4]) < 600 and len(code) == 3:
            self._complaint.status = self._complaint.status or int(code)
        _add(self._complaint.codes, code)

    def _read_text(self, text: str, depth: int) -> None:
        """A text may contain the JSON of another error, which says more than the text around it."""
        start = min((at for sign in "{[" if (at := text.find(sign)) >= 0), default=-1)
        inner = _decode(text[start:]) if start >= 0 else None
        if isinstance(inner, dict | list) and inner and not _is_list_of_texts(inner):
            specific = Complaint()
            _Reader(specific).read(inner, depth=depth + 1)
            self._complaint.texts[:0] = specific.texts
            self._complaint.codes[:0] = specific.codes
            self._complaint.params[:0] = specific.params
            text = text[:start].rstrip(" :-") if specific.texts else text
        _add(self._complaint.texts, text)


def _sort_members(value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The members by their plain names; what is specific comes before what only classifies.

    The upstream's own error, which OpenRouter keeps in `metadata.raw`, comes first; `code` comes
    before `type`, and `detail` before `title` (RFC 9457).
    """
    members = [(SEPARATORS.sub("", str(name)).lower(), inner) for name, inner in value.items()]
    return iter(sorted(members, key=lambda member: MEMBER_ORDER.get(member[0], 2)))


def _build_sentence(value: dict[str, Any]) -> str | None:
    """The sentence of one of FastAPI's details: `messages.0.role: Field required`."""
    place, text = _read_param(value.get("loc")), value.get("msg")
    return f"{place}: {text}" if place and isinstance(text, str) else None


def _read_param(value: Any) -> str:
    """The path of a parameter, without the part of the request in which it is."""
    if isinstance(value, str) and ":" in value:  # not a path
        return value[:200]
    parts = value if isinstance(value, list) else re.split(r"[/.]", str(value or ""))
    names = [str(part) for part in parts if part not in ("", "#", "$", None)]
    if len(names) > 1 and names[0] in BODY_PLACES:
        names = names[1:]
    return ".".join(names)[:200] if names != ["None"] else ""


def _is_list_of_texts(value: Any) -> bool:
    """Whether this is a list in a sentence, such as `['stream_options'] are not allowed`."""
    return isinstance(value, list) and not any(isinstance(one, dict) for one in value)


def _add(texts: list[str], text: str) -> None:
    text = text.strip()[:MAX_TEXT]
    if text and text not in texts:
        texts.append(text)
