"""The page on which a person talks to a model.

The chat has no API route: the page's script calls the gateway with the session of the browser.
"""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access.authentication import require_user
from llmproxy import catalogue
from llmproxy.examples import write_example
from llmproxy.models import Endpoint, LanguageModel


@require_safe
@never_cache
@login_required
def chat(request: HttpRequest) -> HttpResponse:
    """`/chat`: nothing of a chat is stored on the server."""
    models = list(filter(_takes_chats, catalogue.list_models(require_user(request))))
    context = {
        "models": models,
        "default": catalogue.find_default_name(),
        "curl": write_example("curl", models[0].name).steps[0].code if models else "",
    }
    return render(request, "llmproxy/chat.html", context)


def _takes_chats(model: LanguageModel) -> bool:
    """Whether a provider of this model has the chat route; `deployments` are prefetched."""
    return any(
        row.is_active and row.provider.is_active and Endpoint.CHAT in row.provider.endpoints
        for row in model.deployments.all()
    )
