"""Whose fault a provider's error is: the caller's, the operator's or the provider's.

The tables have the words of OpenAI, Azure, Anthropic, Gemini, Vertex, Bedrock, Mistral, Groq,
Together, Fireworks, DeepSeek, OpenRouter, Cohere, xAI, Cloudflare, DashScope, Zhipu, Moonshot,
MiniMax, vLLM, SGLang, TGI, Ollama, llama.cpp and LiteLLM. tests/llmproxy/wild/test_refusals.py has
an error of each with its source. docs/decisions/0024-whose-fault-a-refusal-is.md says what follows
from each verdict.
"""

import re
from enum import Enum

from llmproxy.upstream.refusals import words
from llmproxy.upstream.refusals.complaints import Complaint


class Fault(Enum):
    """Who has to change something before the same request can succeed."""

    CALLER = "caller"  # the request is wrong: its status and text reach the caller
    OPERATOR = "operator"  # a key, a bill, a permission: the next provider is asked
    MODEL = "model"  # the provider lacks the model or the route; its other models may work
    BUSY = "busy"  # a rate limit or an overload
    PROVIDER = "provider"  # anything else


# Statuses that mean that the provider has no such route or model.
NOT_SERVED = frozenset({404, 405, 410, 501})
# Statuses without words that say more.
BY_STATUS = {
    **dict.fromkeys((400, 413, 415, 422), Fault.CALLER),
    **dict.fromkeys((401, 402, 403, 407), Fault.OPERATOR),
    **dict.fromkeys(NOT_SERVED, Fault.MODEL),
    **dict.fromkeys((429, 503, 529), Fault.BUSY),
}
ALWAYS_OURS = frozenset({401, 402, 407})
GONE = frozenset({404, 410})
# Statuses that the caller does not get although the fault is theirs, because clients take them for
# a wrong key, an empty balance or a rate limit.
NOT_FOR_CALLERS = frozenset({401, 402, 407, 408, 429})


# Codes that say it without words. They are compared in lower case and without separators.
CODES: dict[str, Fault] = {
    **dict.fromkeys(
        """
        contextlengthexceeded contentfilter contentpolicyviolation moderationblocked
        exceedcontextsizeerror stringabovemaxlength datainspectionfailed
        invalidprompt invalidimage invalidimageformat invalidbase64image invalidimageurl
        imagetoolarge imagetoosmall imageparseerror imagecontentpolicyviolation invalidimagemode
        imagefiletoolarge unsupportedimagemediatype emptyimagefile failedtodownloadimage
        imagefilenotfound biopolicy cyberpolicy
        """.split(),  # noqa: SIM905 – a list of strings would take a line for each
        Fault.CALLER,
    ),
    **dict.fromkeys(
        """
        insufficientquota billingerror billinghardlimitreached billingnotactive arrearage
        accountoverdueerror invalidapikey apikeyinvalid invalidsubscriptionkey
        authenticationerror permissionerror permissiondenied permissiondeniederror unauthenticated
        unauthorized accessdenied accessdeniedexception unrecognizedclientexception
        expiredtokenexception invalidauthenticationerror organizationrestricted
        organizationmustbeverified modeltermsrequired accountdeactivated accessterminated
        unsupportedcountryregionterritory servicedisabled consumerinvalid consumersuspended
        budgetexceeded tokennotfoundindb keyinvalid keyexpired accessnotconfigured
        iprefererblocked billingnotenabled dailylimitexceeded
        """.split(),  # noqa: SIM905
        Fault.OPERATOR,
    ),
    **dict.fromkeys(
        """
        modelnotfound invalidmodel modeldecommissioned deploymentnotfound unknownmodel
        modelnotavailable modelnotsupported unavailablemodel notfounderror
        modelnotfoundexception endpointnotfound operationnotsupported modelpermissiondenied
        invalidendpointormodelnotfound modelnotexist
        """.split(),  # noqa: SIM905
        Fault.MODEL,
    ),
    **dict.fromkeys(
        """
        ratelimitexceeded ratelimiterror overloadederror throttlingexception resourceexhausted
        modeloverloaded enginoverloadederror unavailableerror toomanyrequests
        """.split(),  # noqa: SIM905
        Fault.BUSY,
    ),
    **dict.fromkeys(
        """
        invalidrequesterror badrequesterror invalidargument validationexception badrequest
        unprocessableentity validationerror extraforbidden validation
        """.split(),  # noqa: SIM905
        Fault.CALLER,
    ),
}
# Codes that many errors share. They decide only if nothing else does.
WEAK_CODES = frozenset(
    """
    invalidrequesterror badrequesterror invalidargument validationexception badrequest
    unprocessableentity validationerror extraforbidden validation notfounderror
    """.split()  # noqa: SIM905
)
SEPARATORS = re.compile(r"[\s_\-.]")
# Each table with its verdict, in the order in which they are asked. What the request contains comes
# before what is wrong with the account, because some providers tell both in one sentence.
TABLES = (
    (words.FLAGGED, Fault.CALLER),
    (words.UNREADABLE, Fault.CALLER),
    (words.UNPAID, Fault.OPERATOR),
    (words.BUSY, Fault.BUSY),
    (words.TOO_LONG, Fault.CALLER),
    (words.INCAPABLE, Fault.CALLER),
    (words.MALFORMED, Fault.CALLER),
    (words.OPERATED, Fault.OPERATOR),
    (words.UNSERVED, Fault.MODEL),
)
# An id in quotes or with a prefix, such as call_abc123, file-9xQ2.
ID = re.compile(r"[A-Za-z][A-Za-z]{1,15}[-_:][\w-]{3,}|[\"'`]([\w:.-]{3,})[\"'`]")


def judge(status: int | None, complaint: Complaint, *, request: str) -> Fault:
    """Whose fault an error is.

    `status` is that of the response; None for an error with a status of success. `request` is the
    request body as the caller sent it, without the model's name at the provider: an error that
    names an id in it, which was not found, is the caller's.
    """
    codes = [SEPARATORS.sub("", code).lower() for code in complaint.codes]
    if status in ALWAYS_OURS:
        return Fault.OPERATOR
    if (fault := _judge_codes(codes, complaint)) is not None:
        return fault
    is_gone = status in GONE or "notfounderror" in codes
    if is_gone and _names_id(complaint.words, request):
        return Fault.CALLER
    if (fault := _judge_words(complaint.words)) is not None:
        return Fault.BUSY if status == 429 and fault is Fault.CALLER else fault
    if is_gone:
        return Fault.MODEL
    if told := status or complaint.status:
        return BY_STATUS.get(told, Fault.PROVIDER)
    return Fault.CALLER if any(code in CODES for code in codes) else Fault.PROVIDER


def _judge_codes(codes: list[str], complaint: Complaint) -> Fault | None:
    """The verdict of a code that says it without words.

    xAI has the code of a missing permission for an input that was flagged.
    """
    if any(param.rpartition(".")[2] == "model" for param in complaint.params):
        return Fault.MODEL
    fault = next((CODES[code] for code in codes if code in CODES and code not in WEAK_CODES), None)
    if fault is Fault.OPERATOR and words.FLAGGED.search(complaint.words):
        return Fault.CALLER
    return fault


def _judge_words(text: str) -> Fault | None:
    return next((fault for table, fault in TABLES if table.search(text)), None)


def choose_status(status: int | None, complaint: Complaint) -> int:
    """The status that the caller gets for a fault of theirs."""
    told = status if status and status >= 400 else complaint.status
    return told if told and 400 <= told < 500 and told not in NOT_FOR_CALLERS else 400


def is_too_long(complaint: Complaint) -> bool:
    return bool(words.TOO_LONG.search(complaint.words))


def _names_id(text: str, request: str) -> bool:
    """Whether the error names an id that the caller sent, not a model."""
    if words.UNSERVED.search(text):
        return False
    return any((found.group(1) or found.group(0)) in request for found in ID.finditer(text))
