from typing import Any

from django.urls import path, re_path
from django.views.generic import RedirectView

from accounts.toolbox.dialects import speaks
from llmproxy import trpc_view, views
from llmproxy.balance_view import CreditsView
from llmproxy.pages import (
    access_pages,
    chat_page,
    device_pages,
    key_pages,
    models_page,
    overview_page,
    receipt_pages,
    status_page,
    usage_pages,
)
from llmproxy.pages.activity import views as activity
from llmproxy.routes.base import GATEWAY

# The views of completions by path: smartspec/wsgi.py finds them without the URL resolver.
METERED = {
    "/v1/chat/completions": views.chat_completions,
    "/v1/completions": views.completions_of_text,
    "/v1/embeddings": views.embeddings,
    "/v1/messages": views.messages,
    "/v1/responses": views.responses,
    "/v1/responses/compact": views.compaction,
    "/api/llm/chat": views.llm_chat,
    "/api/llm/stream": views.llm_stream,
}


def _lead_to(name: str) -> Any:
    """Return the view of an old address, which leads to the page of this name."""
    return RedirectView.as_view(pattern_name=name, permanent=True, query_string=True)


urlpatterns = [
    path("account", overview_page.overview, name="account"),
    re_path(
        r"^account/completions/(?P<generation_id>gen_[\w-]{1,36})$",
        receipt_pages.completion,
        name="account_completion",
    ),
    path("account/activity", activity.show, name="activity"),
    path("account/activity/export", activity.export, name="activity_export"),
    path("account/requests", _lead_to("activity"), name="account_requests"),
    path("account/usage", usage_pages.usage, name="usage"),
    path("account/usage/export", usage_pages.export, name="usage_export"),
    path("chat", chat_page.chat, name="chat"),
    path("models", models_page.models_and_prices, name="models_and_prices"),
    path("status", status_page.status, name="status"),
    path("account/billing", receipt_pages.billing, name="billing"),
    *(path(address[1:], view) for address, view in METERED.items()),
    path("account/access", access_pages.show, name="access"),
    path("account/devices", _lead_to("access"), name="account_devices"),
    path(
        "account/devices/disconnect", device_pages.disconnect_all, name="account_devices_disconnect"
    ),
    path("account/devices/<int:pk>", device_pages.device, name="account_device"),
    path(
        "account/devices/<int:pk>/disconnect",
        device_pages.disconnect,
        name="account_device_disconnect",
    ),
    path("account/keys", _lead_to("access"), name="account_keys"),
    path("account/keys/new", key_pages.new, name="account_key_new"),
    path("account/keys/<int:pk>", key_pages.change, name="account_key"),
    path("account/keys/<int:pk>/created", key_pages.created, name="account_key_created"),
    path("account/keys/<int:pk>/revoke", key_pages.revoke, name="account_key_revoke"),
    path("v1/credits", speaks(GATEWAY)(CreditsView.as_view()), name="credits"),
    path("api/v1/credits/balance", CreditsView.as_view()),
    path("v1/messages/count_tokens", views.count_message_tokens),
    path("v1/responses/input_tokens", views.count_response_tokens),
    path("api/trpc/<path:path>", trpc_view.serve, name="trpc"),
    path("v1/generation", views.generation, name="generation"),
    path("v1/models", views.models, name="models"),
    path("v1/models/<path:name>", views.model),
]
