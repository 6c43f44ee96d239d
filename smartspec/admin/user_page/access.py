"""The tab of what gives a user access: devices, keys, browsers, second factors, events."""

from collections.abc import Iterator
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.access.second_factors import FACTOR_NAMES
from accounts.models import ApiKey, AuthEvent
from accounts.templatetags.times import show_local_time
from accounts.toolbox.request_source import describe_user_agent
from deviceauth.models import DeviceSession
from smartspec.admin.descriptions import describe_device_state, describe_key_state
from smartspec.admin.user_page.sections import NEWEST, Column, Reading, Row, Section
from smartspec.admin.viewing import may_view

LAST_USED = Column(_("last used"), lambda row: show_local_time(row.last_used_at) or "–")
DEVICES = (
    Column(_("name"), lambda row: row.name),
    Column(_("state"), describe_device_state),
    Column(_("application"), lambda row: row.application, is_minor=True),
    Column(_("IP address"), lambda row: row.address or "–", is_minor=True),
    LAST_USED,
)
KEYS = (
    Column(_("name"), lambda row: row.name),
    Column(_("key"), lambda row: row.shown, is_minor=True),
    Column(_("state"), describe_key_state),
    Column(_("created"), lambda row: show_local_time(row.created_at), is_minor=True),
    LAST_USED,
)
FACTORS = (
    Column(_("kind"), lambda row: capfirst(str(FACTOR_NAMES[row.type]))),
    Column(_("created"), lambda row: show_local_time(row.created_at), is_minor=True),
    LAST_USED,
)
BROWSERS = (
    Column(_("browser"), lambda row: describe_user_agent(row.user_agent)),
    Column(_("IP address"), lambda row: row.ip),
    Column(_("since"), lambda row: show_local_time(row.created_at), is_minor=True),
    Column(_("last used"), lambda row: show_local_time(row.last_seen_at)),
)
EVENTS = (
    Column(_("time"), lambda row: show_local_time(row.created_at)),
    Column(_("event"), lambda row: row.get_kind_display()),
    Column(_("IP address"), lambda row: row.address or "–"),
    Column(_("device"), lambda row: describe_user_agent(row.user_agent) if row.user_agent else "–"),
)


def list_sections(reading: Reading) -> Iterator[Section | None]:
    """Yield the tables of this tab."""
    user = reading.user
    own: dict[str, Any] = {"user": user.pk}
    devices = DeviceSession.objects.filter(user=user).select_related("application")
    newest = devices.order_by("-last_used_at")[:NEWEST]
    yield reading.list_rows(DeviceSession, newest, DEVICES, **own)
    keys = ApiKey.objects.filter(user=user).order_by("-pk")
    yield reading.list_rows(ApiKey, keys[:NEWEST], KEYS, **own)
    factors = Authenticator.objects.filter(user=user).order_by("-pk")
    yield reading.list_rows(
        Authenticator, factors[:NEWEST], FACTORS, title=_("Second factors"), q=user.email
    )
    yield list_browsers(reading)
    events = AuthEvent.objects.filter(user=user).order_by("-pk")
    yield reading.list_rows(AuthEvent, events[:NEWEST], EVENTS, **own)


def list_browsers(reading: Reading) -> Section | None:
    """Return the table of browsers. They have no page: events show the same facts of them."""
    if not may_view(reading.request, AuthEvent):
        return None
    sessions = UserSession.objects.filter(user=reading.user).order_by("-last_seen_at")[:NEWEST]
    rows = [Row([(column, column.show(row)) for column in BROWSERS]) for row in sessions]
    return Section(gettext("Browsers"), BROWSERS, rows)
