"""Which models there are. Those of LLM_UPSTREAM_MODELS get their rows by themselves."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.db.transaction import atomic
from django.utils.translation import gettext as _

from accounts.models import User
from llmproxy.exceptions import ModelNotFound
from llmproxy.models import ENVIRONMENT, Deployment, LanguageModel, Provider

if TYPE_CHECKING:
    from django.db.models import QuerySet


def find(name: str, user: User | None, only: Collection[str] = ()) -> LanguageModel:
    """The active model of this name that this user's plan allows, and is priced.

    `only` are the models that their API key is limited to, if any. Raises ModelNotFound.
    """
    found = next((row for row in listed(user, only) if row.name == name), None)
    if found is None:
        raise not_found(name)
    return found


def not_found(name: str | None) -> ModelNotFound:
    """The refusal of a model that does not exist, or not for this caller."""
    if name is None:
        return ModelNotFound(_("No model is configured yet."), param="model")
    return ModelNotFound(
        _("The model %(name)s does not exist, or is not one of your plan or key.")
        % {"name": name[:200]},
        param="model",
    )


def available(user: User | None, only: Collection[str] = ()) -> "QuerySet[LanguageModel]":
    """The models that this user, and their key, may use (None: that anyone may)."""
    served = Deployment.objects.filter(
        model=OuterRef("pk"), is_active=True, provider__is_active=True
    )
    active = LanguageModel.objects.filter(Exists(served), is_active=True).prefetch_related(
        "deployments__provider"
    )
    if user is not None and user.plan.allowed_models:
        active = active.filter(name__in=user.plan.allowed_models)
    return active.filter(name__in=only) if only else active


def listed(user: User | None, only: Collection[str] = ()) -> "list[LanguageModel]":
    """What `GET /v1/models` shows this user, or this user's key."""
    rows = list(available(user, only))
    if not set(settings.LLM_UPSTREAM_MODELS) <= {row.name for row in rows}:
        adopt_environment()
        rows = list(available(user, only))
    return [row for row in rows if row.prices is not None]


def adopt_environment() -> int:
    """Give every model of LLM_UPSTREAM_MODELS a row, so that the operator can price or disable it.

    Existing rows stay as they are. Returns how many were made.
    """
    if not settings.LLM_UPSTREAM_BASE_URL:
        return 0
    provider, _made = Provider.objects.get_or_create(
        slug=ENVIRONMENT, defaults={"name": "Environment"}
    )
    made = 0
    for name in settings.LLM_UPSTREAM_MODELS:
        with atomic():  # whoever finds the model finds its provider too
            model, is_new = LanguageModel.objects.get_or_create(name=name)
            if is_new:
                Deployment.objects.create(model=model, provider=provider)
        made += is_new
    return made
