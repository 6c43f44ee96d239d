"""How a deployment wants the parameters that the gateway writes itself. Pure.

The limit of a chat has two names: older servers refuse the newer one, newer models the older one.
Some servers refuse other parameters that the gateway adds, such as `stream_options`. A request that
is refused for one of them is sent once more without it, and what worked is remembered with the
deployment. docs/decisions/0025-spellings-are-learned.md says when it is forgotten.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from llmproxy.exceptions import UpstreamFailure
from llmproxy.models.choices import LimitSpelling
from llmproxy.upstream.refusals.complaints import Complaint, parse_complaint
from llmproxy.upstream.targets import Target

# The words of OpenAI, Azure, pydantic 1 and 2 (FastAPI, vLLM, Mistral, Anthropic), Google, Bedrock,
# Groq, xAI, the JSON decoders of Go and Rust, and Joi.
UNSUPPORTED = re.compile(
    r"""
    un(supported|known|recogni[sz]ed|expected)
    | \bnot\ (currently\ |yet\ )?(be\ )?(supported|permitted|allowed|recogni[sz]ed|accepted
      |implemented|available|defined|used)
    | extra[ _](inputs?|fields?|param\w*|keys?|forbidden|arguments?) | value_error\.extra
    | extraneous | additional\ propert | no\ such\ (field|param\w*|argument) | cannot\ find\ field
    | (does\ not|doesn't|do\ not|don't)\ (currently\ )?(support|accept|recogni[sz]e|allow)
    | invalid\ (param\w*|argument|field|key|option|property|name)\b | disallowed
    | (can't|cannot)\ be\ used | deprecated | 不支持|未知|不允许
    """,
    re.IGNORECASE | re.VERBOSE,
)
# The names after these words are those that the server does know.
SUGGESTIONS = re.compile(
    r"expected one of|did you mean|\b(allowed|supported|valid|known) (are|fields|param\w*|values)",
    re.IGNORECASE,
)
INSTEAD = r"(?:use|try|prefer|replaced by|renamed to|in favou?r of|instead)\W+(?:\w+\W+){0,3}?"
# Other names under which a provider may refuse a parameter.
PARTS = {"stream_options": ("include_usage",)}
CLAUSES = re.compile(r"[;\n]|[.。](?=\s|\Z)|\},\s*\{")


@dataclass(slots=True)
class Spelling:
    """The spelling of one request.

    `limit` is the name of the limit of the answer, empty if the request has none. `left_out` are
    the parameters of the gateway that are not sent. `refused` is what to remember of the deployment
    if the request succeeds.
    """

    limit: str
    left_out: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()


class Turns:
    """The spellings in which one request is sent to one provider, the most likely one first.

    `limit` is the caller's name of the limit, or the default of the route; `names` are those that
    the route has for it; `added` are the parameters that the gateway wrote and can leave out.
    """

    def __init__(
        self, target: Target, *, limit: str, names: Collection[str], added: Collection[str]
    ) -> None:
        self._wanted, self._names, self._added = limit, names, added
        self._is_fixed = target.limit_spelling != LimitSpelling.AUTO
        refused = frozenset(target.refused)
        if self._is_fixed and target.limit_spelling in names:
            limit = target.limit_spelling
        elif limit in refused:
            limit = self._find_other(limit) or limit
        self.spelling = Spelling(limit, refused, refused)
        self.has_learned = False  # whether the present spelling is not the first one
        self._failures: dict[str, UpstreamFailure] = {}  # by the name of the limit

    def take_next(self, failure: UpstreamFailure) -> bool:
        """Choose the next spelling; False if the failure is about something else.

        Each name of the limit is tried once, and each parameter is left out once.
        """
        complaint = parse_complaint(failure.provider_body)
        spelling, limit = self.spelling, self.spelling.limit
        other = "" if self._is_fixed else self._find_other(limit)
        if other and _refuses(complaint, limit, other):
            self._failures[limit] = failure
        else:
            other = ""
        new = {
            name
            for name in self._added
            if name not in spelling.left_out and _refuses(complaint, name)
        }
        if other in self._failures or not (other or new):
            return False
        self.has_learned = True
        refused = spelling.refused | new | ({limit} if other else set())
        self.spelling = Spelling(other or limit, spelling.left_out | new, refused - {other})
        return True

    def choose_failure(self, last: UpstreamFailure) -> UpstreamFailure:
        """The failure to report: if each name was refused, the refusal of the caller's own name."""
        if self.spelling.limit in self._failures:
            return self._failures.get(self._wanted, last)
        return last

    def _find_other(self, limit: str) -> str:
        """The other name of the limit; empty if there is none."""
        return next((name for name in self._names if name != limit), "") if limit else ""


def _refuses(complaint: Complaint, name: str, other: str = "") -> bool:
    """Whether the provider says that it does not know or want the parameter `name`.

    A complaint about the value of a parameter does not say so. `other` is the name that the
    provider may recommend instead.
    """
    pattern, words = _compile(name, *PARTS.get(name, ())), complaint.words
    if other and pattern.search(words) and _compile(other, before=INSTEAD).search(words):
        return True
    if any(pattern.fullmatch(param.split(".")[0]) for param in complaint.params):
        return UNSUPPORTED.search(words) is not None
    return any(
        pattern.search(clause) and UNSUPPORTED.search(clause)
        for text in complaint.texts
        for clause in CLAUSES.split(SUGGESTIONS.split(text)[0])
    )


def _compile(*names: str, before: str = "") -> re.Pattern[str]:
    """A pattern for parameters, also in camel case, but not within longer names."""
    either = "|".join(name.replace("_", "_?") for name in names)
    return re.compile(rf"{before}(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)
