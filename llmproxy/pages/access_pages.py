"""`/account/access`: the devices and API keys of a person, in one style."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access.authentication import require_user
from accounts.models import ApiKey, Limits, User
from accounts.toolbox import shown_once
from accounts.toolbox.keyset import MAX_KEY
from credits import budgets
from deviceauth.models import DeviceSession
from deviceauth.pages import describe_scopes
from llmproxy.pages.key_forms import get_last_day
from llmproxy.receipts.callers import DEVICE, KEY
from llmproxy.usage.recent import SmallChart, draw_small_charts

PAGE = 50  # devices on one page; a person cannot have more than API_KEYS_PER_USER keys


@dataclass(frozen=True, slots=True)
class Access:
    """A live device or key as the list shows it. `spent` and `budget` are credits of this month.

    `hint` distinguishes it from others with the same name: the application, or the end of the key.
    """

    row: Limits
    kind: str
    name: str
    hint: str
    created_at: datetime
    last_used_at: datetime | None
    credential: str
    spent: int
    budget: int | None
    edit: str
    end: str
    notes: tuple[str, ...] = ()
    address: str = ""
    last_day: date | None = None
    is_over: bool = False
    chart: SmallChart | None = None

    @property
    def is_used_up(self) -> bool:
        return self.budget is not None and self.spent >= self.budget


class DevicesQuery(forms.Form):
    """`before` is the id of the last device on the page that links."""

    before = forms.IntegerField(required=False, min_value=1, max_value=MAX_KEY)


@dataclass(frozen=True, slots=True)
class DevicesPage:
    """`before` leads to the next page, None on the last one."""

    rows: list[Access]
    before: int | None


@require_safe
@never_cache
@login_required
def show(request: HttpRequest) -> HttpResponse:
    """Devices, the last used first, and keys. Status 400 for an address that no link has."""
    user, query = require_user(request), DevicesQuery(request.GET)
    shown_once.forget_secrets(request)
    spent = budgets.read_spending(user)
    is_valid = query.is_valid()
    before = query.cleaned_data["before"] if is_valid else None
    page = cut_devices(user, before, spent)
    keys = [describe_key(key, spent) for key in ApiKey.objects.live().filter(user=user)]
    charts = draw_small_charts(user, [access.credential for access in (*page.rows, *keys)])
    context = {
        "page": replace(page, rows=add_charts(page.rows, charts)),
        "before": before,
        "keys": add_charts(keys, charts),
        "most": settings.API_KEYS_PER_USER,
    }
    return render(request, "llmproxy/access/list.html", context, status=200 if is_valid else 400)


def add_charts(rows: Iterable[Access], charts: Mapping[str, SmallChart]) -> list[Access]:
    return [replace(row, chart=charts.get(row.credential)) for row in rows]


def cut_devices(user: User, before: int | None, spent: dict[str, int]) -> DevicesPage:
    """Return at most PAGE live devices, the last used first, after the one with this id."""
    rows = DeviceSession.objects.live().filter(user=user).select_related("application")
    last = DeviceSession.objects.filter(user=user, pk=before).first() if before else None
    if last is not None:
        rows = rows.filter(
            Q(last_used_at__lt=last.last_used_at)
            | Q(last_used_at=last.last_used_at, pk__lt=last.pk)
        )
    found = list(rows.order_by("-last_used_at", "-pk")[: PAGE + 1])
    shown = [describe_device(session, spent) for session in found[:PAGE]]
    return DevicesPage(shown, found[PAGE - 1].pk if len(found) > PAGE else None)


def describe_device(session: DeviceSession, spent: dict[str, int]) -> Access:
    application: Any = session.application
    return Access(
        row=session,
        kind=DEVICE,
        name=session.name,
        hint=application.name or application.client_id,
        created_at=session.created_at,
        last_used_at=session.last_used_at,
        credential=session.credential,
        spent=spent.get(session.credential, 0),
        budget=session.monthly_budget,
        edit=reverse("account_device", args=[session.pk]),
        end=reverse("account_device_disconnect", args=[session.pk]),
        notes=tuple(map(str, describe_scopes(session.scopes))),
        address=session.address,
    )


def describe_key(key: ApiKey, spent: dict[str, int]) -> Access:
    return Access(
        row=key,
        kind=KEY,
        name=key.name,
        hint=key.shown,
        created_at=key.created_at,
        last_used_at=key.last_used_at,
        credential=key.credential,
        spent=spent.get(key.credential, 0),
        budget=key.monthly_budget,
        edit=reverse("account_key", args=[key.pk]),
        end=reverse("account_key_revoke", args=[key.pk]),
        notes=tuple(key.allowed_models),
        last_day=get_last_day(key),
        is_over=key.is_over,
    )
