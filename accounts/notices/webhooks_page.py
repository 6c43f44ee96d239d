"""`/account/webhooks`: endpoints, their secrets, what was sent there, and a test message."""

from typing import Any

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access.authentication import require_user
from accounts.models import User, WebhookDelivery, WebhookEndpoint
from accounts.toolbox import rate_limits, shown_once
from accounts.webhooks import deliveries, endpoints
from accounts.webhooks.addresses import MAX_URL, NotAllowed, Target, read_url
from accounts.webhooks.endpoints import TooMany
from accounts.webhooks.problems import PROBLEMS

NEWEST = 20  # deliveries on the page of an endpoint
TESTS, TEST_SECONDS = 5, 10 * 60  # test messages of one user
PILLS = {
    WebhookDelivery.State.WAITING: "waiting",
    WebhookDelivery.State.DELIVERED: "answered",
    WebhookDelivery.State.FAILED: "failed",
}


class EndpointForm(forms.Form):
    url = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=MAX_URL,
        widget=forms.URLInput(
            attrs={"placeholder": "https://example.com/hook", "autocomplete": "off"}
        ),
        help_text=gettext_lazy("A public address that begins with https://."),
    )
    target: Target

    def clean_url(self) -> str:
        try:
            self.target = read_url(self.cleaned_data["url"])
        except NotAllowed as refusal:
            raise forms.ValidationError(PROBLEMS[refusal.code]) from None
        return self.target.url


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def show(request: HttpRequest) -> HttpResponse:
    """Show the endpoints and the form for a new one."""
    shown_once.forget_secrets(request)
    return _show(request, EndpointForm())


def _show(request: HttpRequest, form: EndpointForm) -> HttpResponse:
    rows = WebhookEndpoint.objects.filter(user=require_user(request)).order_by("pk")
    context = {"form": form, "endpoints": rows, "most": endpoints.MOST}
    return render(request, "accounts/webhooks.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
@reauthentication_required  # type: ignore[untyped-decorator]  # what is sent outlives the browser
def add(request: HttpRequest) -> HttpResponse:
    """Add an endpoint, and lead to its page, which shows the secret. A GET shows the form."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("webhooks"))
    form = EndpointForm(request.POST)
    if not form.is_valid():
        return _show(request, form)
    try:
        endpoint, secret = endpoints.add(require_user(request), form.target)
    except TooMany as refusal:
        form.add_error(None, refusal.message)
        return _show(request, form)
    shown_once.keep_secret(request, name=endpoint.public_id, secret=secret)
    return _lead_to(endpoint)


@require_safe
@never_cache
@login_required
def detail(request: HttpRequest, public_id: str) -> HttpResponse:
    """Show one endpoint with what was sent to it, and its secret if it is new."""
    endpoint = _find(require_user(request), public_id)
    sent = endpoint.deliveries.order_by("-pk")[:NEWEST]
    context = {
        "endpoint": endpoint,
        "secret": shown_once.read_secret(request, name=endpoint.public_id),
        "deliveries": [_describe(row) for row in sent],
        "now": timezone.now(),
        "off_because": endpoint.get_off_because_display(),
    }
    return render(request, "accounts/webhook.html", context)


def _describe(row: WebhookDelivery) -> dict[str, Any]:
    """Return a message with its last problem in words and the colour of its state."""
    return {
        "row": row,
        "problem": PROBLEMS.get(row.last_problem, ""),
        "pill": PILLS[WebhookDelivery.State(row.state)],
    }


@require_POST
@never_cache
@login_required
def send_test(request: HttpRequest, public_id: str) -> HttpResponse:
    """Queue a test message, which is sent within seconds."""
    user = require_user(request)
    endpoint = _find(user, public_id)
    rate = rate_limits.take(f"webhook_test:{user.pk}", limit=TESTS, period=TEST_SECONDS)
    if not endpoint.is_active:
        messages.error(request, _("Switch the webhook on first."))
    elif not rate.allowed:
        messages.error(request, _("Too many tests. Wait a few minutes, then try again."))
    else:
        deliveries.queue_test(endpoint)
        messages.success(request, _("The test is on its way. Reload the page in a few seconds."))
    return _lead_to(endpoint)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
@reauthentication_required  # type: ignore[untyped-decorator]
def change_secret(request: HttpRequest, public_id: str) -> HttpResponse:
    """Replace the secret and show the new one. A GET leads to the endpoint."""
    endpoint = _find(require_user(request), public_id)
    if request.method != "POST":
        return _lead_to(endpoint)
    secret = endpoints.change_secret(endpoint)
    shown_once.keep_secret(request, name=endpoint.public_id, secret=secret)
    messages.success(request, _("The secret was changed. The old one is valid for 24 hours more."))
    return _lead_to(endpoint)


@require_POST
@never_cache
@login_required
def switch(request: HttpRequest, public_id: str) -> HttpResponse:
    """Switch an endpoint on or off, as the button says."""
    endpoint = _find(require_user(request), public_id)
    if request.POST.get("to") == "on":
        if endpoints.switch_on(endpoint):
            messages.success(request, _("The webhook is on."))
        else:
            text = _("The operator of this site has switched it off. Ask for help there.")
            messages.error(request, text)
    else:
        endpoints.switch_off(endpoint, WebhookEndpoint.Off.BY_USER)
        messages.success(request, _("The webhook is off."))
    return _lead_to(endpoint)


@require_POST
@never_cache
@login_required
def remove(request: HttpRequest, public_id: str) -> HttpResponse:
    """Remove an endpoint with its log."""
    endpoints.remove(_find(require_user(request), public_id))
    messages.success(request, _("The webhook was removed."))
    return HttpResponseRedirect(reverse("webhooks"))


def _find(user: User, public_id: str) -> WebhookEndpoint:
    """Return the user's endpoint. Raises Http404, also for that of somebody else."""
    row: WebhookEndpoint = get_object_or_404(WebhookEndpoint, user=user, public_id=public_id)
    return row


def _lead_to(endpoint: WebhookEndpoint) -> HttpResponse:
    return HttpResponseRedirect(reverse("webhook", args=[endpoint.public_id]))
