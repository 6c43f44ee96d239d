"""What some columns of providers and models can contain."""

import re

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.toolbox import headers

MAX_NAME_LENGTH = 200


class KeyHeader(models.TextChoices):
    """The request header in which a provider expects its key."""

    BEARER = "bearer", "Authorization: Bearer …"
    X_API_KEY = headers.API_KEY, f"{headers.API_KEY}: …"
    API_KEY = "api-key", "api-key: …"


class OnDisconnect(models.TextChoices):
    """What happens to a provider's answer if the caller disconnects before its end."""

    CANCEL = "cancel", _("Stop the provider at once")
    DRAIN = "drain", _("Keep reading to get the exact usage")


class LimitSpelling(models.TextChoices):
    """The name that a deployment has for the limit of a chat's answer."""

    AUTO = "auto", _("Automatic: what the caller sends, and what the provider accepts")
    MAX_TOKENS = "max_tokens", "max_tokens"
    MAX_COMPLETION_TOKENS = "max_completion_tokens", "max_completion_tokens"


class Endpoint(models.TextChoices):
    """The metered routes of OpenAI's and Anthropic's APIs. A value is the path after `/v1/`."""

    CHAT = "chat/completions", "/v1/chat/completions"
    TEXT = "completions", "/v1/completions"
    EMBEDDINGS = "embeddings", "/v1/embeddings"
    RESPONSES = "responses", "/v1/responses"
    MESSAGES = "messages", "/v1/messages"


class Problem(models.TextChoices):
    """Why a connection test of a provider found no models."""

    NO_ADDRESS = "no_address", _("no URL")
    KEY_UNREADABLE = "key_unreadable", _("the key cannot be used")
    SILENT = "silent", _("no response in time")
    UNREACHABLE = "unreachable", _("the server cannot be reached")
    BROKEN = "broken", _("the connection was lost")
    KEY_REFUSED = "key_refused", _("key refused")
    NO_LIST = "no_list", _("no list of models")
    ELSEWHERE = "elsewhere", _("the URL redirects elsewhere")
    ERROR = "error", _("error response")
    OTHER_API = "other_api", _("not an OpenAI-compatible API")


def is_model_name(name: str) -> bool:
    """Whether a model can have this name: printable text of any script, no spaces at its ends."""
    return (
        bool(name) and name.isprintable() and name.strip() == name and len(name) <= MAX_NAME_LENGTH
    )


def validate_model_name(name: str) -> None:
    """Raises ValidationError."""
    if not is_model_name(name):
        raise ValidationError(_("Enter a name without line breaks and without spaces at its ends."))


# Headers that belong to the request itself.
RESERVED_HEADERS = frozenset(
    """
    accept accept-encoding connection content-length content-type host keep-alive
    proxy-authorization te transfer-encoding upgrade user-agent
    """.split()  # noqa: SIM905 – a list of strings would take a line for each
)


def validate_key_header(name: str) -> None:
    """Raises ValidationError for what is no name of a header (RFC 9110 §5.1), or a reserved one."""
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or name.lower() in RESERVED_HEADERS:
        raise ValidationError(_("This cannot be the header of the key."))
