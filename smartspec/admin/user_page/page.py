"""The page of a user: facts on top, and one tab of tables below them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from allauth.account.models import EmailAddress
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.email_addresses import show_address
from accounts.languages import find_reader
from accounts.models import LIMITS, User
from accounts.templatetags.times import show_local_time
from accounts.time_zones import zone_of
from smartspec.admin.user_page import access, acts, money, notices, use
from smartspec.admin.user_page.sections import Reading, Section, Text, show_number

MOST_ADDRESSES = 10
TABS: dict[str, tuple[Text, Callable[[Reading], Iterator[Section | None]]]] = {
    "money": (_("Credits and payments"), money.list_sections),
    "use": (_("Use"), use.list_sections),
    "access": (_("Access"), access.list_sections),
    "acts": (_("Acts"), acts.list_sections),
    "notices": (_("Alerts and mails"), notices.list_sections),
}
FIRST = "money"
Facts = list[tuple[Text, Any]]


@dataclass(frozen=True, slots=True)
class Tab:
    """A link to a tab; `is_here` marks the one that is shown."""

    title: Text
    link: str
    is_here: bool


def describe_page(request: HttpRequest, user: User) -> dict[str, Any]:
    """Return what the template of the page needs, beside the frame of the admin."""
    chosen = request.GET.get("tab", FIRST)
    chosen = chosen if chosen in TABS else FIRST
    reading = Reading(request, user)
    sections = [section for section in TABS[chosen][1](reading) if section is not None]
    return {
        "tabs": [
            Tab(title, f"{request.path}?tab={name}", name == chosen)
            for name, (title, _list) in TABS.items()
        ],
        "sections": [section for section in sections if section.rows],
        "empty": [section.title for section in sections if not section.rows],
        "figures": list_figures(user),
        "states": list_states(user),
        "facts": list_facts(user),
        "limits": list_limits(user),
        "zone": zone_of(find_reader()).key,
        **(use.read_chart(reading) if chosen == "use" else {}),
    }


def list_figures(user: User) -> Facts:
    """Return the numbers that the person who looks needs first."""
    figures: Facts = [
        (_("Available"), show_number(user.available)),
        (_("Balance"), show_number(user.credits)),
        (_("Held"), show_number(user.credits_held)),
    ]
    if user.credits_debt:
        figures.append((_("Debt"), show_number(user.credits_debt)))
    return figures


def list_states(user: User) -> list[tuple[str, Text]]:
    """Return the states of a user as pills: the kind of each, and its words."""
    states: list[tuple[str, Text]] = []
    if user.closed_at:
        states.append(("failed", _("Deleted")))
    elif user.is_active:
        states.append(("answered", _("Active")))
    else:
        states.append(("failed", _("Deactivated")))
    if user.is_staff:
        role = _("Superuser") if user.is_superuser else _("Administrator")
        states.append(("waiting", role))
    if user.credits_debt:
        states.append(("failed", _("Owes credits")))
    customer = getattr(user, "customer", None)
    if customer is not None and customer.frozen_at:
        states.append(("failed", _("May not buy")))
    return states


def list_facts(user: User) -> Facts:
    """Return who the user is. Empty facts are left out."""
    groups = ", ".join(user.groups.order_by("name").values_list("name", flat=True))
    facts: Facts = [
        (_("Email addresses"), _describe_addresses(user)),
        (_("Public ID"), user.public_id),
        (_("Plan"), user.plan),
        (_("Joined"), show_local_time(user.date_joined)),
        (_("Last login"), show_local_time(user.last_login) or gettext("never")),
        (_("Deleted"), show_local_time(user.closed_at)),
        (_("Groups"), groups),
        (_("Language"), user.get_language_display() if user.language else ""),
        (_("Time zone"), user.time_zone),
        (_("Currency"), user.currency.upper()),
    ]
    return [(title, value) for title, value in facts if value]


def _describe_addresses(user: User) -> str:
    addresses = EmailAddress.objects.filter(user=user).order_by("-primary", "email")
    states = {True: gettext("confirmed"), False: gettext("not confirmed")}
    words = [
        f"{show_address(row.email)} ({states[row.verified]})" for row in addresses[:MOST_ADDRESSES]
    ]
    return ", ".join(words) or str(user)


def list_limits(user: User) -> Facts:
    """Return the limits of this user that replace those of the plan."""
    limits: Facts = []
    for name in LIMITS:
        if (value := getattr(user, name)) is not None:
            limits.append((User._meta.get_field(name).verbose_name, show_number(value)))  # type: ignore[union-attr]
    return limits
