"""Hides what belongs to the operator in a provider's words: key, accounts, addresses. Pure.

A word that stands in the caller's own request stays, so that callers recognise their own ids and
URLs. What is certainly the operator's (the key, the host of the base URL) is hidden in any case.
"""

import re
from dataclasses import dataclass

HIDDEN = "[hidden]"
LEAST_KEY = 20  # characters of a key whose first or last ones are recognised alone
_TOP_LEVEL = (
    "com|net|org|io|ai|dev|cloud|app|co|cn|eu|us|uk|de|fr|jp|kr|sg|th|in|tech|xyz|gov|edu"
    "|internal|intranet|local|localdomain|lan|corp|home|svc|cluster|test|invalid|example"
)
_ACCOUNT = (
    r"(?:organi[sz]ation|org|project|team|account|workspace|tenant|subscription"
    r"|resource(?:\ group)?|deployment|api\ key|key\ id|customer|billing\ account|consumer"
    r"|service\ account|principal)"
)
_ID = r"[\w.@:/+-]{2,}[\w/-]"
# The parts of a text that may identify the operator's account or network. Where a pattern has a
# group, only the group is hidden.
PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE | re.VERBOSE)
    for pattern in (
        r"\b[a-z][a-z0-9+.-]{1,15}://[^\s\"'`<>)\]}]+",  # URLs
        r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",  # email addresses
        r"\barn:[\w:/.*-]+",
        # Keys, whole or masked.
        r"[\w-]*[*•●]{3,}[\w-]*",
        r"\b(?:sk|pk|rk|gsk|xai|nvapi|hf|r8|fw|csk|pplx|tgp|rpa|glpat|ghp)[-_][\w.…*-]{8,}",
        r"\bAIza[\w.…-]{8,}|\bya29\.[\w.-]{8,}|\bAKIA\w{8,}|\beyJ[\w-]{8,}\.[\w.-]+",
        # Ids of accounts, by their form or by the word before them.
        r"\b(?:org|proj|project|acct|team|tenant|wrkspc|ws|usr|user|acc|cust|key|ak)[-_]"
        r"(?=[\w-]*(?-i:[0-9A-Z]))[\w-]{4,}",
        rf"\b{_ACCOUNT}s?(?:[\s_-]?(?:id|name|number|no\.?))?\s*(?:[:=\#]\s*|\s)(?:\([^)]*\)\s*)?"
        rf"(?:[\"'`‘“](?P<quoted>[^\"'`’”\s]{{2,}})[\"'`’”]|(?P<plain>(?=[\w.@:/+-]*[\d_@]){_ID}))",
        rf"\b{_ACCOUNT}s?(?:[\s_-]?(?:id|name|number))?\s*[:=]\s*(?P<named>{_ID})",
        r"\b(?:projects|organizations|accounts|subscriptions|resourceGroups|workspaces|tenants"
        r"|deployments|locations|endpoints|teams)/(?P<path>[^/\s\"'`]+)",
        r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
        # Addresses.
        r"\b(?:host|server|hostname)\s*=\s*['\"](?P<host>[^'\"]+)['\"]",
        r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\w.]*\d)",
        r"(?<![\w:])\[?(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\]?|(?<![\w:])\[?[0-9a-f:]*::[0-9a-f:]+\]?",
        rf"(?<![\w@./-])(?:[a-z0-9_](?:[\w-]*\w)?\.)+(?:{_TOP_LEVEL})\b(?::\d{{1,5}})?(?:/[^\s\"'`<>)]*)?",
        r"\blocalhost(?::\d{1,5})?\b",
    )
)
REPEATED = re.compile(rf"(?:{re.escape(HIDDEN)}){{2,}}")
DOTTED = re.compile(r"([\w-]{2,})(?:\.{2,}|…)([\w-]*)")
WORD = re.compile(r"[\w-]{4,}")


@dataclass(frozen=True, slots=True)
class Secrets:
    """What belongs to the operator. `host` is that of the base URL, `proxy` that of the proxy."""

    key: str = ""
    host: str = ""
    proxy: str = ""


def hide(text: str, secrets: Secrets, *, own_name: str, model: str, request: str) -> str:
    """The text without the operator's secrets, accounts and addresses.

    The model's name at the provider (`own_name`) becomes the name that the caller used (`model`).
    `request` is the caller's request, whose words stay.
    """
    text = hide_key(text, secrets.key)
    if own_name and own_name != model:
        text = re.sub(rf"(?<![\w.-]){re.escape(own_name)}(?![\w-])", lambda _: model, text)
    for pattern in PATTERNS:
        text = pattern.sub(lambda found: _hide_found(found, request), text)
    for name in (secrets.host, secrets.proxy):
        if len(name) > 1:
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?::\d+)?(?![\w-])", HIDDEN, text)
    return REPEATED.sub(HIDDEN, text)


def hide_key(text: str, key: str) -> str:
    """The text without the key, also where only its first and last characters are shown."""
    if not key:
        return text
    text = text.replace(key, "[our key]")
    text = DOTTED.sub(lambda found: _hide_shortened(found, key), text)
    if len(key) < LEAST_KEY:
        return text
    return WORD.sub(lambda found: HIDDEN if _is_end_of(found.group(), key) else found.group(), text)


def _hide_shortened(found: re.Match[str], key: str) -> str:
    head, tail = found.groups()
    is_key = key.startswith(head) and (not tail or key.endswith(tail))
    return HIDDEN if is_key else found.group()


def _is_end_of(word: str, key: str) -> bool:
    """Whether the word shows an end of the key that no word of a language has."""
    is_code = any(sign.isdigit() for sign in word) or not (word.islower() or word.istitle())
    return is_code and (key.endswith(word) or (len(word) > 6 and key.startswith(word)))


def _hide_found(found: re.Match[str], request: str) -> str:
    whole = found.group()
    part = next((group for group in found.groups() if group), whole)
    return whole if part in request else whole.replace(part, HIDDEN)
