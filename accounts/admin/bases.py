"""Bases that the admins of all applications share."""

import re
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin

from accounts.admin.filters import find_chosen_user
from accounts.toolbox.keyset import KeysetChangeList

# The lookups that the filters of a list use, after the name of the field.
FILTER_LOOKUP = re.compile(r"((id|slug|name)__)?(exact|in|isnull|isempty|gte?|lte?)")


class CheckedActions:
    """For a ModelAdmin with actions: answers 400 to selected ids that are malformed.

    Django itself would answer 500.
    """

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        try:
            for pk in request.POST.getlist(ACTION_CHECKBOX_NAME):
                queryset.model._meta.pk.clean(pk, None)
        except ValidationError as error:
            raise BadRequest(*error.messages) from None
        response: HttpResponse | None = super().response_action(request, queryset)  # type: ignore[misc]
        return response


class LabelledCells:
    """For a tabular inline: names each field in its row to screen readers.

    The template of Unfold has the names in the head of the table only.
    """

    def get_formset(self, request: HttpRequest, obj: Model | None = None, **options: Any) -> Any:
        formset = super().get_formset(request, obj, **options)  # type: ignore[misc]
        for field in formset.form.base_fields.values():
            widget = getattr(field.widget, "widget", field.widget)  # what a wrapper draws
            widget.attrs["aria-label"] = capfirst(field.label)
        return formset


def may_view_log(request: HttpRequest) -> bool:
    """Return whether the reader may see what administrators did. It is Unfold's SHOW_HISTORY."""
    return bool(request.user.has_perm("admin.view_logentry"))


class SiteList:
    """What each ModelAdmin of this site has: light lists, a history that begins with the newest.

    A history consists of entries of the administrators' log: it needs the permission to view them.
    """

    list_per_page = 50  # A list of 100 rows has more than 100 kB.

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        if not may_view_log(request):
            raise PermissionDenied
        response: HttpResponse = super().history_view(request, object_id, extra_context)  # type: ignore[misc]
        context = getattr(response, "context_data", None) or {}
        if (shown := context.get("action_list")) is not None:
            paginator = shown.paginator
            paginator.object_list = paginator.object_list.reverse()
            context["action_list"] = paginator.page(shown.number)
        return response


class ReadOnlyAdmin(SiteList, ModelAdmin):
    """A list of rows that only the program writes, newest first, with keyset pagination."""

    show_full_result_count = False  # counting millions of rows is slower than a page of them
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def keyset(self, request: HttpRequest) -> tuple[QuerySet[Any], str]:
        """Return the rows from which the list selects, and the indexed key that orders them."""
        return self.model._default_manager.all(), "id"

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow only the lookups of the list's filters.

        Others, such as `startswith`, would let an administrator guess hidden columns letter by
        letter.
        """
        name, _, lookup_type = lookup.partition("__")
        return not lookup_type or (
            name in self._filtered_fields() and FILTER_LOOKUP.fullmatch(lookup_type) is not None
        )

    def _filtered_fields(self) -> set[str]:
        filters = (each[0] if isinstance(each, tuple) else each for each in self.list_filter)
        return {each for each in filters if isinstance(each, str)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class SearchedByUser:
    """Searches a list of rows by their user.

    The term is a whole email address or public id, because both are indexed.
    """

    search_fields = ("user",)
    search_help_text = gettext_lazy("Full email address or public ID")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        user = find_chosen_user("", search_term)
        return (queryset.filter(user=user or 0) if search_term.strip() else queryset), False
