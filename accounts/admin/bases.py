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

FILTERS_ASK = re.compile(r"((id|slug|name)__)?(exact|in|isnull|isempty|gte?|lte?)")


class CheckedActions:
    """For a ModelAdmin with actions: Django itself fails on chosen ids that are no ids."""

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        try:
            for pk in request.POST.getlist(ACTION_CHECKBOX_NAME):
                queryset.model._meta.pk.clean(pk, None)
        except ValidationError as error:
            raise BadRequest(*error.messages) from None
        response: HttpResponse | None = super().response_action(request, queryset)  # type: ignore[misc]
        return response


class ReadOnlyAdmin(ModelAdmin):
    """Rows that only the program writes, newest first, in pages that are cut by key."""

    show_full_result_count = False  # counting millions of rows takes longer than showing a page
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    list_per_page = 50

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def keyset(self, request: HttpRequest) -> tuple[QuerySet[Any], str]:
        """Rows among which all that the list shows are, and the key that orders them by an index."""
        return self.model._default_manager.all(), "id"

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what a filter of the list asks for: others guess at columns that it does not show, bit by bit."""
        name, _, how = lookup.partition("__")
        return not how or (
            name in self._filtered_fields() and FILTERS_ASK.fullmatch(how) is not None
        )

    def _filtered_fields(self) -> set[str]:
        named = (each[0] if isinstance(each, tuple) else each for each in self.list_filter)
        return {each for each in named if isinstance(each, str)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class SearchedByUser:
    """For a list of rows that belong to users: found by the whole e-mail address or public id, which have an index."""

    search_fields = ("user",)
    search_help_text = gettext_lazy("Whole e-mail or public id")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        user = find_chosen_user("", search_term)
        return (queryset.filter(user=user or 0) if search_term.strip() else queryset), False
