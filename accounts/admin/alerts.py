"""The admin lists of alerts, webhooks and their messages. Nobody sees a secret here."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from accounts.admin.acts.buttons import HasActs
from accounts.admin.acts.messages import CloseWebhook, OpenWebhook, RedeliverMessage
from accounts.admin.bases import ReadOnlyAdmin, SearchedByUser
from accounts.admin.filters import DateRangeFilter, OneUserFilter
from accounts.admin.word_filters import EndpointFilter, MailedFilter
from accounts.models import AccountAlert, WebhookDelivery, WebhookEndpoint


@admin.register(AccountAlert)
class AccountAlertAdmin(SearchedByUser, ReadOnlyAdmin):
    list_display = ("created_at", "user", "kind", "mailed_at", "silent_because", "sent_at")
    list_filter = (OneUserFilter, ("kind", ChoicesDropdownFilter), MailedFilter)
    list_filter_submit = True
    list_select_related = ("user",)
    fields = readonly_fields = (
        *("user", "kind", "facts", "created_at", "sent_at", "mailed_at", "silent_because"),
    )


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(HasActs, SearchedByUser, ReadOnlyAdmin):
    acts = (CloseWebhook, OpenWebhook)
    list_display = ("created_at", "user", "url", "is_active", "failing_since", "last_success_at")
    list_filter = (OneUserFilter, EndpointFilter)
    list_filter_submit = True
    list_select_related = ("user",)
    fields = readonly_fields = (
        *("user", "url", "is_active", "off_because", "failing_since", "last_success_at"),
        "created_at",
    )


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(HasActs, ReadOnlyAdmin):
    acts = bulk_acts = (RedeliverMessage,)
    list_display = ("created_at", "endpoint", "type", "state", "tries", "last_status", "message_id")
    list_filter = (("state", ChoicesDropdownFilter), ("created_at", DateRangeFilter))
    list_filter_submit = True
    list_select_related = ("endpoint",)
    search_fields = ("message_id",)
    search_help_text = _("Id of the message")
    fields = readonly_fields = (
        *("endpoint", "message_id", "type", "state", "tries", "next_try_at", "last_try_at"),
        *("last_status", "last_problem", "created_at"),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find a whole id only: a part of one would read all rows."""
        term = search_term.strip()
        return (queryset.filter(message_id=term) if term else queryset), False
