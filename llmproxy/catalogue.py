"""The models that a caller may use.

The models of LLM_UPSTREAM_MODELS get their rows when they are needed for the first time.
"""

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


def find_model(name: str, user: User | None, only: Collection[str] = ()) -> LanguageModel:
    """The active, priced model of this name, if the user's plan allows it.

    `only` are the models that the API key is limited to, if any. Raises ModelNotFound.
    """
    model = next((row for row in list_models(user, only) if row.name == name), None)
    if model is None:
        raise build_not_found(name)
    return model


def build_not_found(name: str | None) -> ModelNotFound:
    """The refusal for a model that does not exist, or that this caller may not use."""
    if name is None:
        return ModelNotFound(_("No model is configured yet."), param="model")
    return ModelNotFound(
        _("The model %(name)s does not exist, or your plan or key does not include it.")
        % {"name": name[:200]},
        param="model",
    )


def filter_available(user: User | None, only: Collection[str] = ()) -> "QuerySet[LanguageModel]":
    """The models that this user and their API key may use; for None, those that anyone may use."""
    served = Deployment.objects.filter(
        model=OuterRef("pk"), is_active=True, provider__is_active=True
    )
    active = LanguageModel.objects.filter(Exists(served), is_active=True).prefetch_related(
        "deployments__provider"
    )
    if user is not None and user.plan.allowed_models:
        active = active.filter(name__in=user.plan.allowed_models)
    return active.filter(name__in=only) if only else active


def list_models(user: User | None, only: Collection[str] = ()) -> "list[LanguageModel]":
    """The models in `GET /v1/models` for this user and their API key: those with prices."""
    rows = list(filter_available(user, only))
    if not set(settings.LLM_UPSTREAM_MODELS) <= {row.name for row in rows}:
        adopt_environment()
        rows = list(filter_available(user, only))
    return [row for row in rows if row.prices is not None]


def find_default_name() -> str | None:
    """The model of a request that names none; None if there is no model."""
    if settings.LLM_UPSTREAM_MODELS:
        return str(settings.LLM_UPSTREAM_MODELS[0])
    return filter_available(None).order_by("pk").values_list("name", flat=True).first()


def adopt_environment() -> int:
    """Make a row for each model of LLM_UPSTREAM_MODELS, so that the operator can set its price.

    Existing rows stay as they are. Returns the number of new rows.
    """
    if not settings.LLM_UPSTREAM_BASE_URL:
        return 0
    provider, _made = Provider.objects.get_or_create(
        slug=ENVIRONMENT, defaults={"name": "Environment"}
    )
    made = 0
    for name in settings.LLM_UPSTREAM_MODELS:
        with atomic():  # nobody can read the model without its provider
            model, is_new = LanguageModel.objects.get_or_create(name=name)
            if is_new:
                Deployment.objects.create(model=model, provider=provider)
        made += is_new
    return made
