"""Logs in the admin: the administrators' log, access events, and mails that wait to be sent."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from accounts.access import administrators_log
from accounts.admin.acts.buttons import HasActs
from accounts.admin.acts.messages import ResendMail, describe_next_attempt
from accounts.admin.address_search import FindsSpellings
from accounts.admin.bases import ReadOnlyAdmin, SearchedByUser
from accounts.admin.filters import (
    DateRangeFilter,
    KindFilter,
    LoggedAdministratorFilter,
    OneUserFilter,
)
from accounts.admin.word_filters import TriedFilter
from accounts.email_addresses import normalise_for_lookup, show_address
from accounts.models import AuthEvent, OutgoingMail
from accounts.toolbox.request_source import describe_user_agent


@admin.register(LogEntry)
class LogEntryAdmin(FindsSpellings, ReadOnlyAdmin):
    """The administrators' log: who changed what, when and why."""

    list_display = ("action_time", "user", "kind", "what", "text")
    list_display_links = ("action_time",)
    list_filter = (KindFilter, LoggedAdministratorFilter, ("action_time", DateRangeFilter))
    list_filter_submit = True
    list_select_related = ("user", "content_type")
    search_fields = ("user__email", "object_repr", "change_message")
    address_field = "user__email"
    search_help_text = gettext_lazy("Administrator, object or reason")
    fields = readonly_fields = ("action_time", "user", "kind", "what", "text")

    @admin.display(description=gettext_lazy("kind"))
    def kind(self, entry: LogEntry) -> str:
        return str(dict(administrators_log.KINDS).get(entry.action_flag, entry.action_flag))

    @admin.display(description=gettext_lazy("object"))
    def what(self, entry: LogEntry) -> str:
        """Return the name of the object, as a link if the object still has a page."""
        kind = str(getattr(entry.content_type, "name", ""))
        name = f"{kind}: {entry.object_repr}" if kind else entry.object_repr
        if not entry.object_id or not (address := entry.get_admin_url()):
            return name
        if not getattr(entry, "may_be_viewed", True):
            return name
        return format_html(
            '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, name
        )

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Note of each entry whether the reader may view its object."""
        page = super().get_changelist_instance(request)
        for entry in page.result_list:
            model = entry.content_type and entry.content_type.model_class()
            entry.may_be_viewed = self.admin_site.is_registered(model) and (
                self.admin_site.get_model_admin(model).has_view_permission(request)
            )
        return page

    @admin.display(description=gettext_lazy("action and reason"))
    def text(self, entry: LogEntry) -> str:
        return entry.get_change_message() or "–"


@admin.register(AuthEvent)
class AuthEventAdmin(SearchedByUser, ReadOnlyAdmin):
    """Access events of users: what happened, when and from where."""

    list_display = ("created_at", "kind", "user", "address", "device", "facts")
    list_filter = (OneUserFilter, ("kind", ChoicesDropdownFilter), ("created_at", DateRangeFilter))
    list_filter_submit = True
    list_select_related = ("user",)
    fields = readonly_fields = ("created_at", "kind", "user", "address", "user_agent", "facts")

    @admin.display(description=gettext_lazy("device"))
    def device(self, event: AuthEvent) -> str:
        return describe_user_agent(event.user_agent) if event.user_agent else "–"

    @admin.display(description=gettext_lazy("details"))
    def facts(self, event: AuthEvent) -> str:
        return ", ".join(f"{name}: {value}" for name, value in event.details.items()) or "–"


@admin.register(OutgoingMail)
class OutgoingMailAdmin(HasActs, ReadOnlyAdmin):
    """Mails that wait to be sent, without their text, because it may contain a secret link."""

    acts = bulk_acts = (ResendMail,)
    list_display = ("created_at", "address", "subject", "tries", "next_attempt")
    list_filter = (TriedFilter,)
    list_filter_submit = True
    search_fields = ("to",)
    search_help_text = gettext_lazy("Full email address")
    fields = readonly_fields = ("created_at", "address", "subject", "tries", "next_attempt")

    @admin.display(description=gettext_lazy("next attempt"))
    def next_attempt(self, mail: OutgoingMail) -> str:
        return describe_next_attempt(mail)

    @admin.display(description=gettext_lazy("email address"))
    def address(self, mail: OutgoingMail) -> str:
        return show_address(mail.to)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OutgoingMail], search_term: str
    ) -> tuple[QuerySet[OutgoingMail], bool]:
        """Find a whole address only, which an index has."""
        term = search_term.strip()
        return (queryset.filter(to=normalise_for_lookup(term)) if term else queryset), False
