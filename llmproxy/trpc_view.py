"""`/api/trpc/…`: the procedures of credits, and the list of models for the existing pages."""

from typing import Any

from rest_framework.request import Request

from accounts.models import ApiKey
from credits.api import trpc
from llmproxy import catalogue
from llmproxy.models import LanguageModel, Provider


def list_available_models(request: Request) -> dict[str, Any]:
    """Return the models that the caller may use, in the shape of the existing model picker.

    `id` is what a request names as its model. `providers` stays empty: the pages show none.
    """
    user = trpc.get_caller(request)
    only = request.auth.allowed_models if isinstance(request.auth, ApiKey) else ()
    default = catalogue.find_default_name()
    served = [(row, _find_provider(row)) for row in catalogue.list_models(user, only)]
    models = [_render_model(row, provider, default) for row, provider in served if provider]
    return {"models": models, "providers": []}


def _find_provider(row: LanguageModel) -> Provider | None:
    """The first provider that serves the model; None if it has just been switched off."""
    served = (one for one in row.deployments.all() if one.is_active and one.provider.is_active)
    return next((deployment.provider for deployment in served), None)


def _render_model(row: LanguageModel, provider: Provider, default: str | None) -> dict[str, Any]:
    return {
        "id": row.name,
        "name": row.name,
        "provider": provider.slug,
        "providerDisplayName": provider.name,
        "isDefault": row.name == default,
    }


serve = trpc.build_view(
    {
        **trpc.PROCEDURES,
        "llmProviders.availableModels": lambda request, _parameters: list_available_models(request),
    }
)
