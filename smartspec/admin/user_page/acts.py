"""The tab of what administrators did about a user, and of what the user did as one of them."""

from collections.abc import Iterator

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.access import administrators_log
from accounts.models import User
from accounts.templatetags.times import show_local_time
from credits.admin.pages.decide_approval import describe_change
from credits.models import Approval
from smartspec.admin.user_page.sections import NEWEST, Column, Reading, Section

KINDS = dict(administrators_log.KINDS)
APPROVALS = (
    Column(_("requested at"), lambda row: show_local_time(row.created_at)),
    Column(_("kind"), lambda row: row.get_kind_display(), is_minor=True),
    Column(_("state"), lambda row: row.get_state_display()),
    Column(_("requester"), lambda row: row.requester, is_minor=True),
    Column(_("reason"), lambda row: row.reason),
    Column(_("credits per user"), describe_change, is_number=True),
)
TIME = Column(_("time"), lambda row: show_local_time(row.action_time))
KIND = Column(_("kind"), lambda row: KINDS.get(row.action_flag, row.action_flag), is_minor=True)
TEXT = Column(_("action and reason"), lambda row: row.get_change_message() or "–")
ABOUT = (TIME, Column(_("administrator"), lambda row: row.user), KIND, TEXT)
OWN = (TIME, KIND, Column(_("object"), lambda row: row.object_repr), TEXT)


def list_sections(reading: Reading) -> Iterator[Section | None]:
    """Yield the tables of this tab."""
    user = reading.user
    asked = Approval.objects.select_related("requester", "refunds", "accepts")
    about = asked.filter(users=user).order_by("-pk")
    yield reading.list_rows(Approval, about[:NEWEST], APPROVALS, user=user.pk)
    history = reverse("admin:accounts_user_history", args=[user.pk])
    entries = list_entries(user)[:NEWEST]
    yield reading.list_rows(LogEntry, entries, ABOUT, title=_("What was done"), link=history)
    if not user.is_staff:
        return
    done = LogEntry.objects.filter(user=user).order_by("-pk")
    yield reading.list_rows(
        LogEntry, done[:NEWEST], OWN, title=_("Acts of this administrator"), actor=user.pk
    )
    own = asked.filter(requester=user).order_by("-pk")
    yield reading.list_rows(
        Approval, own[:NEWEST], APPROVALS, title=_("Requests of this administrator"), q=user.email
    )


def list_entries(user: User) -> QuerySet[LogEntry]:
    """Return the entries of the administrators' log about a user, newest first."""
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(User), object_id=str(user.pk)
    )
    return entries.select_related("user").order_by("-pk")
