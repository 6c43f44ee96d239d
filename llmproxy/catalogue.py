"""Which models there are. Those of LLM_UPSTREAM_MODELS get their rows by themselves."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.models import User
from llmproxy.exceptions import ModelNotFound
from llmproxy.models import ENVIRONMENT, LanguageModel, Provider

if TYPE_CHECKING:
    from django.db.models import QuerySet


def find(name: str | None, user: User | None, only: Collection[str] = ()) -> LanguageModel:
    """The active model of this name, or the default one, that this user's plan allows.

    `only` are the models that their API key is limited to, if any. Raises ModelNotFound.
    """
    if name is None:
        name = default_name()
    # A name is printable ASCII (LanguageModel.name); the database need not be asked about others.
    model = _get(name) if name.isascii() and name.isprintable() else None
    if model is None or not _allowed(name, user, only):
        raise ModelNotFound(
            _("The model %(name)s does not exist, or is not one of your plan or key.") % {"name": name[:200]},
            param="model",
        )
    return model


def default_name() -> str:
    """The first of LLM_UPSTREAM_MODELS, else the oldest active model."""
    if settings.LLM_UPSTREAM_MODELS:
        return str(settings.LLM_UPSTREAM_MODELS[0])
    oldest = available(None).order_by("pk").values_list("name", flat=True).first()
    if oldest is None:
        raise ModelNotFound(_("No model is configured yet."), param="model")
    return oldest


def available(user: User | None, only: Collection[str] = ()) -> "QuerySet[LanguageModel]":
    """The models that this user, and their key, may use (None: that anyone may)."""
    active = LanguageModel.objects.filter(is_active=True, provider__is_active=True).select_related("provider")
    if user is not None and user.plan.allowed_models:
        active = active.filter(name__in=user.plan.allowed_models)
    return active.filter(name__in=only) if only else active


def listed(user: User | None, only: Collection[str] = ()) -> "list[LanguageModel]":
    """What `GET /v1/models` shows this user, or this user's key."""
    rows = list(available(user, only))
    if not set(settings.LLM_UPSTREAM_MODELS) <= {row.name for row in rows}:
        adopt_environment()
        rows = list(available(user, only))
    return rows


def _get(name: str) -> LanguageModel | None:
    found = available(None).filter(name=name).first()
    if found is None and name in settings.LLM_UPSTREAM_MODELS:
        adopt_environment()
        found = available(None).filter(name=name).first()
    return found


def _allowed(name: str, user: User | None, only: Collection[str]) -> bool:
    of_plan = user.plan.allowed_models if user else []
    return all(name in allowed for allowed in (of_plan, only) if allowed)


def adopt_environment() -> int:
    """Give every model of LLM_UPSTREAM_MODELS a row, so that the operator can price or disable it.

    Existing rows stay as they are. Returns how many were made.
    """
    if not settings.LLM_UPSTREAM_BASE_URL:
        return 0
    provider, _made = Provider.objects.get_or_create(slug=ENVIRONMENT, defaults={"name": "Environment"})
    made = [
        LanguageModel.objects.get_or_create(name=name, defaults={"provider": provider})[1]
        for name in settings.LLM_UPSTREAM_MODELS
    ]
    return sum(made)
