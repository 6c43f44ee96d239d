"""Filters of the admin's lists. Each uses an index, however long the list is."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.access import administrators_log
from accounts.email_addresses import normalise_for_lookup
from accounts.models import User
from accounts.toolbox.keyset import find_first_key, parse_key

MARGIN = timedelta(hours=1)  # most by which keys and times of writing may be out of order
MAX_CHOICES = 100  # administrators to choose from


class DateInput(UnfoldAdminTextInputWidget):
    """A date field with the calendar of the browser."""

    input_type = "date"

    def format_value(self, value: Any) -> Any:
        return value.isoformat() if isinstance(value, date) else value


class Days(forms.Form):
    """The first and the last day of a range."""

    def __init__(self, name: str, data: dict[str, Any]) -> None:
        super().__init__(data)
        for side, label in (("from", _("From")), ("to", _("To"))):
            field = forms.DateField(label=label, required=False, widget=DateInput)
            self.fields[f"{name}_{side}"] = field


class DateRangeFilter(RangeDateFilter):
    """Rows written from one day to another in the operator's time zone, both included.

    The time of writing has no index, so the range of days is translated to a range of keys.
    """

    form_class = Days
    template = "accounts/days_filter.html"

    def __init__(
        self,
        field: Any,
        request: HttpRequest,
        params: Any,
        model: Any,
        model_admin: Any,
        **path: str,
    ) -> None:
        super().__init__(field, request, params, model, model_admin, **path)
        self.model_admin = model_admin

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        rows, key = self.model_admin.keyset(request)
        stamp = self.parameter_name
        try:
            if start := self._midnight("from"):
                first = find_first_key(rows, key, stamp, start - MARGIN)
                queryset = queryset.filter(**{f"{key}__gte": first, f"{stamp}__gte": start})
            if end := self._midnight("to", days=1):
                last = find_first_key(rows, key, stamp, end + MARGIN)
                queryset = queryset.filter(**{f"{key}__lt": last, f"{stamp}__lt": end})
        except OverflowError:
            raise IncorrectLookupParameters from None
        return queryset

    def _midnight(self, which: str, *, days: int = 0) -> datetime | None:
        """Return the beginning of a day, or of the one after it, in UTC."""
        text = self.used_parameters.get(f"{self.parameter_name}_{which}")
        try:
            if not text:
                return None
            day = date.fromisoformat(text) + timedelta(days=days)
        except ValueError:
            raise IncorrectLookupParameters from None
        zone = timezone.get_current_timezone()
        return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def find_chosen_user(chosen: str, term: str) -> int | None:
    """Return the id of the user that a filter or a search term names.

    0 if there is no such user, None if the term is neither an email address nor a public id.
    Raises IncorrectLookupParameters if the filter's value is not a number.
    """
    if chosen:
        return parse_key(chosen)
    term = term.strip()
    if "@" not in term and not term.startswith("usr_"):
        return None
    condition = {"email": normalise_for_lookup(term)} if "@" in term else {"public_id": term}
    return User.objects.filter(**condition).values_list("pk", flat=True).first() or 0


class OneUserFilter(admin.SimpleListFilter):
    """Rows of one user. Links on the user's page set it; it is shown only then."""

    title = _("user")
    parameter_name = lookup_kwarg = "user"

    @property
    def lookup_val(self) -> list[Any]:
        """The value that Unfold's template keeps when another filter is set."""
        return [self.value()]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = parse_key(self.value())
        user = User.objects.filter(pk=chosen or 0).first()
        return [] if chosen is None else [(str(chosen), str(user or chosen))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(user=parse_key(self.value()))


class AdministratorFilter(DropdownFilter):
    """Rows of one administrator, out of those who may use the admin now."""

    title = _("administrator")
    parameter_name = "actor"
    field = "actor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[int, str]]:
        return list(
            User.objects.filter(is_staff=True)
            .order_by("email")
            .values_list("pk", "email")[:MAX_CHOICES]
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = parse_key(self.value())
        return queryset if chosen is None else queryset.filter(**{self.field: chosen})


class LoggedAdministratorFilter(AdministratorFilter):
    field = "user"


class KindFilter(DropdownFilter):
    """Entries of the administrators' log of one kind of act."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[int, Any]]:
        return list(administrators_log.KINDS)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = parse_key(self.value())
        return queryset if chosen is None else queryset.filter(action_flag=chosen)


class DebtFilter(DropdownFilter):
    title = _("debt")
    parameter_name = "debt"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Has debt"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        return queryset.filter(credits_debt__gt=0) if self.value() == "yes" else queryset
