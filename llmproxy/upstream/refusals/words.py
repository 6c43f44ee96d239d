"""The words by which providers say what is wrong with a request, an account or a model.

Each line of a table is one pattern. In it a space stands for a space, an underscore or a dash, so
that it finds codes as well as sentences, and `…` stands for up to 80 characters of one sentence. A
backslash at the end of a line joins it with the next one.
"""

import re

CONTINUATION = re.compile(r"\\\n\s*")
SOMETHING = r"(?:[^\n.;]|\.(?=\S)){0,80}?"  # the dot of `gpt-4.1` does not end a sentence


def _compile(table: str) -> re.Pattern[str]:
    table = CONTINUATION.sub("", table).strip()
    lines = (line.strip() for line in table.split("\n"))
    patterns = (line.replace(" … ", SOMETHING).replace(" ", r"[\s_-]") for line in lines)
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


# The input or the output was flagged. xAI tells it as a missing permission (403).
FLAGGED = _compile(
    r"""
    content ?(filter|polic|management|moderation|safety|exists risk|security warning)
    \b(content|prompt|input|request|response|output|message)s?\b … \bflagged
    \b(content|prompt|input|response|output|message)s?\b … (was|were|is|been) (filtered\
      |blocked)
    \b(content|prompt|input|request|response|output|message)s?\b … \bviolat\w+ … (polic|guideline\
      |rule|safety)
    violat\w+ (of )?((our|the) )?((usage|content|safety) )?(polic|guideline)
    responsible ?ai ?policy
    safety (check|system|block|filter|polic)
    moderation blocked|requires moderation
    (rejected|blocked) by (the )?(content|safety)
    prohibited content|inappropriate content|sensitive ?(content|words?)
    high risk\b|guardrail|data ?inspection ?failed
    refus\w+ to answer
    敏感|不安全|违规|内容安全|审核
    """
)

# The provider could not get or read what the request contains or refers to.
UNREADABLE = _compile(
    r"""
    (error while|failed to|unable to|could ?not|couldn't|cannot|can't) (download|fetch|retriev\
      |decode|identify)\w* … (image|audio|video|file|media|document|pdf|url|http)
    (failed to|unable to|could ?not|couldn't|cannot|can't) (load|read|process|open|parse|access) \
      (the )?(\w+ )?(image|audio|video|media|document|pdf|url)
    (invalid|corrupt\w*|broken|empty|malformed) (base64|image|audio|file|video|media|mime|pdf)
    unsupported (image|audio|file|video|media|mime)
    (image|audio|file|video|media|pdf)s?\b … \btoo (large|big|small|many|long)
    (image|audio|file|video|media|pdf)s?\b … (not a valid|is (invalid|corrupt|not valid|empty))
    (image|audio|file|video|media|pdf)s?\b … could not be (read|decoded|processed|downloaded)
    incorrect padding|illegal base64
    expected (a )?(string|text)( content)?\b … \b(image|audio|file|list|array|object)
    """
)

# The operator has not paid, or has used up what was paid for.
UNPAID = _compile(
    r"""
    insufficient (account )?(balance|credit|quota|fund)
    billing|payment required|payment method|unpaid|arrear|overdue|past due|good standing
    (exceeded|used up|run out|out)( of)?( \w+){0,3} (quota|credits?|budget|balance)\b
    (no|not enough|more|out of)( \w+)? (credit|fund|quota)s?\b
    only afford|credit balance|included credits|prepa(id|yment)|top ?up\b|recharge
    balance\b … \b(low|negative|zero|insufficient|exhausted|enough)
    (add|attach|buy|purchase)( \w+){0,3} (funds|credits)
    (spend\w*|usage|monthly|budget|credit)s? (limit|cap|quota)s?\b … (reached|exceed|hit)
    (reached|exceeded|hit|over)( \w+){0,4} (usage|spend\w*|budget|monthly|credit)\b … (limit|cap\
      |quota|credits?)
    (budget|quota|credits|allowance) (has|have|is|are)? ?(been )?(exceeded|exhausted|expired\
      |depleted|used up)
    (subscription|trial|plan)\b … \b(expired|ended|inactive|not active|cancell?ed)
    欠费|余额|充值
    """
)

# A rate limit or an overload.
BUSY = _compile(
    r"""
    rate ?limit|too many (requests|concurrent)|throttl
    (tokens|requests) per (min|day|hour|sec)
    \b(TPM|RPM|TPD|RPD)\b
    overload|over capacity|at capacity|capacity exceeded|server is busy|queue is full
    (capacity|concurrency)\b … (exceed|reach|limit)
    temporarily (unavailable|rate)
    resource (has been )?exhausted
    loading model|model is (currently )?loading
    try again (later|in)|no (available )?slots? available
    """
)

# The request is longer than the model, or the server, can take.
TOO_LONG = _compile(
    r"""
    (context|sequence|prompt|input)'?s? ?(window|length|size|token limit|limit)\b … (exceed|too\
      |over|larger|longer|limit|maximum|must|should)
    (exceed|larger|longer|greater|beyond|above)\w*\b … (context|n_ctx|n_ubatch|batch size\
      |token limit|window)
    (exceed|larger|longer|greater|beyond|above)\w*\b … maximum (number of )?(allowed )?(tokens\
      |input|length|sequence|prompt)
    (exceed|larger|longer|greater|beyond|above)\w*\b … max (model|seq|position|prompt|input|total)
    maximum (context|prompt|sequence|input|allowed input|model) (length|size|window|limit|tokens?)
    (prompt|input|request|messages?|context|text|sequence\
      |content)\b … (?<!took )(?<!takes )(?<!taking )\btoo (long|large|big)\b
    (input|prompt|request)\b … \blonger than
    must have (less|fewer|at most)
    too many (input )?tokens|requested tokens \(|tokens \+ `?max|`inputs` tokens
    token count\b … exceed
    reduce the length|exceeded? model token limit|range of input length
    size of tensor a \(|index out of range in self|context shift is disabled|max position embedding
    context ?length ?exceeded|exceed ?context ?size|string above max length
    increase the (physical batch|context) size
    超出|过长|超过
    """
)

# The request needs what the model cannot do.
_NEEDS = (
    r"(image|vision|multi-?modal|audio|video|file|pdf|document|tool|function|thinking|reasoning"
    r"|json|structured output|response format|log ?probs|logit bias|system|developer|prefill|stop"
    r"|parallel|temperature|top (p|k)|batch size|content type|mmproj|embedding|chat|completion"
    r"|generate|insert|penalty|seed)"
)
INCAPABLE = _compile(
    rf"""
    \b{_NEEDS}(s|_\w+)? ?(\w+ )?(input|call\w*|choice|use|mode|messages?|role|prompts?\
      |sequences?)?s?\W{{0,3}} ?(is|are|was|were)? ?(not|un) ?(currently |yet )?(supported\
      |available|enabled|allowed|implemented)
    (does not|doesn't|do not|don't|cannot|can't|can not|not) (yet |currently )?(support|accept\
      |handle|process|understand|see|read)\w*( [\w'-]+){{0,4}}? '?{_NEEDS}
    no endpoints? found that support
    (has )?no (vision|image|audio|multi-?modal|tool) (encoder|support|capab|projector|input)
    (vision|image|audio|mmproj|projector)\b … not loaded
    not a multi-?modal model|is not a (vision|vlm)|text-only
    at most \d+ (image|audio|video|document)
    enable-auto-tool-choice|invalid (content|message) (type|part)
    """
)

# The order or the form of the messages does not fit.
MALFORMED = _compile(
    r"""
    roles must alternate|conversation roles|jinja|template error
    (apply|applying|render|rendering|parse|parsing) … template
    tool call ids?\b|tool use id|tool result
    messages? with role|first message|last message (must|role|cannot)
    at least one (message|content)|empty (content|messages?|prompt|input)\b
    \b(messages?|prompt|input|contents?)\W{1,3}(must|should|cannot|can not|may) (not )?be
    failed to (parse|initialize samplers|deserialize)|grammar|json schema|invalid schema
    unexpected keyword argument|validation errors? for \w*request|is not of type
    """
)

# The operator's key, account, permissions, network or region.
_KEY = (
    r"((api|access|secret|subscription|auth\w*|bearer|security|session|service) ?(key|token)"
    r"|credential)s?"
)
_ACCOUNT = r"(organi[sz]ation|project|workspace|team|tenant|subscription|account|consumer|license)"
OPERATED = _compile(
    rf"""
    (invalid|incorrect|wrong|missing|expired|bad|unknown|malformed|revoked|no|without\
      |illegal)\W+(\w+\W+){{0,4}}?{_KEY}\b
    {_KEY}\b … \b(invalid|not (valid|found|provided|included|authorized|allowed)|incorrect\
      |expired|missing|required)
    {_KEY}\b … \b(revoked|disabled|wrong|suspended|blocked|leaked|does not|do not|is not|has been)
    authenticat\w*\W+(\w+\W+){{0,2}}?(fail|error|required|denied|invalid)
    un ?authenticated|not authenticated|un ?authori[sz]ed|forbidden|log ?in fail
    not (been )?authori[sz]ed|not (permitted|allowed) to (sample|use|access|invoke|call|perform\
      |generate|view|query)
    access ?(is )?denied|ha(s|ve) no access|denied access
    (does|do|did) ?(not|n't) have (\w+ )?(access|permission|sufficient)
    insufficient ?(permission|scope|privilege)|permission ?(denied|error)|required permission
    {_ACCOUNT}\b … \b(must be verified|disabled|restricted|suspended|deactivated|blocked|banned\
      |terminated)
    {_ACCOUNT}\b … \b(not (found|enabled|allowed|been used|active|verified)|has no|does not)
    invalid organi[sz]ation|mismatched (project|organi[sz]ation)|verify organi[sz]ation
    terms\b … accept|accept\w* (the )?terms|requires terms
    (country|region|territory|location)\b … \b(not|un) ?(supported|available|allowed|enabled)
    (not|un) ?(supported|available|enabled) in (your|this|the) (country|region|location\
      |environment|account|organi[sz]ation|subscription)
    has not been used in project|service ?disabled|api has not been enabled
    api ?version\b … (not|un|invalid|missing|required)
    virtual network|firewall|public access is|private (endpoint|link)
    (ip|address)\b … \bnot (in the )?(allowed|allow-?list|white-?list|permitted)
    not (entitled|subscribed|eligible|enrolled|accessible|whitelisted|allow-?listed)
    is gated|gated model|upgrade (to |your )|(paid|current|your) plan (does|is|only|required)
    subscription key|proxy server token|security token|clock skew
    attention required|just a moment|error code: 10\d\d|cloudflare ray
    data policy|no allowed providers
    无权|未授权|认证失败|鉴权|令牌|密钥
    """
)

# The model, the deployment or the route does not exist there.
UNSERVED = _compile(
    r"""
    \bmodel\b … \b(not ?found|does ?n[o']t exist|not exist|not (been )?(found|available|deployed\
      |loaded|enabled|hosted|installed|pulled))
    \bmodel\b … \b(unavailable|decommissioned|deprecated|retired|shut down|removed|sunset)
    \bmodel\b … \bis not (valid|a valid|a chat|a completion|available|supported)
    (unknown|invalid|no such|unsupported|missing|unrecognized|nonexistent|undefined) model
    model ?(not ?found|not ?supported|not ?available|not ?exist|decommissioned)
    no (available )?(model|deployment|endpoint)s? (found|available|is|for|named|with|exists)
    not a valid model|unable to access (the |this )?model|try pulling|model identifier is invalid
    not a chat model|only supported in v1/|on-demand throughput|inference profile|publisher model
    operation (does not work|is not supported|not supported|unsupported)
    deployment ?not ?found|deployment\b … \b(not exist|not found|does not|not ready)
    unavailable ?model|could not route|no healthy (deployment|upstream)|no allowed model
    not supported by any provider|(must provide a|no|without a) chat template
    模型不存在|模型未找到|不支持该模型
    """
)
