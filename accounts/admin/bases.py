"""Bases that the admins of all applications share."""

import re
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest, ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
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


class ReadOnlyAdmin(ModelAdmin):
    """A list of rows that only the program writes, newest first, with keyset pagination."""

    show_full_result_count = False  # counting millions of rows is slower than a page of them
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    list_per_page = 50

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
