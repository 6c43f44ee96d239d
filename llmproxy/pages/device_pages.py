"""`/account/devices/…`: one connected device of an account, to change or disconnect."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.access.authentication import require_user
from accounts.toolbox import rate_limits
from accounts.toolbox.request_source import Source
from accounts.toolbox.typed.names import NameField
from credits import budgets
from deviceauth import device_sessions
from deviceauth.models import DeviceSession
from llmproxy.pages.access_pages import describe_device
from llmproxy.pages.limit_forms import LimitsForm, budget_field, get_rates

MOST = 200  # devices that are named before all are disconnected


class DeviceForm(LimitsForm):
    name = NameField(label=gettext_lazy("Name"), max_length=device_sessions.MAX_NAME)
    monthly_budget = budget_field(
        gettext_lazy(
            "The most this device can use in a calendar month (UTC). Leave empty for no "
            "separate limit."
        )
    )


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def device(request: HttpRequest, pk: int) -> HttpResponse:
    """One device: its name, its budget and its limits."""
    session = get_object_or_404(_list_connected(request), pk=pk)
    initial = {"name": session.name, "monthly_budget": session.monthly_budget, **get_rates(session)}
    form = DeviceForm(request.POST if request.method == "POST" else None, initial=initial)
    if not form.is_valid():
        spent = budgets.read_spending(require_user(request))
        context = {"session": session, "access": describe_device(session, spent), "form": form}
        return render(
            request, "llmproxy/device.html", context, status=400 if form.is_bound else 200
        )
    if not rate_limits.take(
        f"devices:{session.user_id}", limit=settings.DEVICE_CHANGES_PER_HOUR, period=3600
    ).allowed:
        messages.error(request, _("Too many changes. Wait a few minutes, then try again."))
        return redirect("access")
    source = Source.from_request(request)
    device_sessions.rename(session=session, name=form.cleaned_data["name"], source=source)
    device_sessions.set_budget(
        session=session, monthly_budget=form.cleaned_data["monthly_budget"], source=source
    )
    device_sessions.set_rates(session=session, rates=form.rates, source=source)
    messages.success(request, _("Your changes have been saved."))
    return redirect("access")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def disconnect(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, then end one device's session."""
    session = get_object_or_404(_list_connected(request), pk=pk)
    if request.method != "POST":
        return render(request, "llmproxy/disconnect.html", {"devices": [session]})
    device_sessions.revoke(session=session, source=Source.from_request(request))
    messages.success(request, _("%(name)s has been disconnected.") % {"name": session.name})
    return redirect("access")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def disconnect_all(request: HttpRequest) -> HttpResponse:
    """Ask, then end the sessions of all devices."""
    if request.method != "POST":
        return render(
            request, "llmproxy/disconnect.html", {"devices": _list_connected(request)[:MOST]}
        )
    device_sessions.revoke_all(require_user(request), Source.from_request(request))
    messages.success(request, _("All your devices have been disconnected."))
    return redirect("access")


def _list_connected(request: HttpRequest) -> Any:
    return (
        DeviceSession.objects.live()
        .filter(user=require_user(request))
        .select_related("application")
    )
