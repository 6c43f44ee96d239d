"""The page of the settings at run time: their form, a preview, the history, and the environment.

Only the confirming POST of the preview writes, together with its entry in the administrators' log.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.transaction import atomic
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.access.authentication import require_user
from accounts.admin.bases import ReadOnlyAdmin
from accounts.admin.operator_settings_form import ReasonForm, SettingsForm, merge_typed
from accounts.email_addresses import show_address
from accounts.models import OperatorSettings, Plan
from accounts.operation import changes, current, watch
from accounts.operation.changes import Change, StaleSettings
from accounts.operation.current import Snapshot
from accounts.operation.variables import GROUPS, Variable
from accounts.toolbox.keyset import parse_key

MAY_CHANGE = "accounts.change_operatorsettings"
MOST_SHOWN = 20  # rows of the history on a page
ORIGINS: dict[str, str | Promise] = {
    "default": gettext_lazy("default"),
    "environment": gettext_lazy("environment"),
    "file": gettext_lazy("secret file"),
    "running": gettext_lazy("environment of the running site"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A change as the page shows it."""

    label: str | Promise
    old: str
    new: str
    help: str | Promise = ""


def describe_change(change: Change) -> Line:
    old, new = (change.variable.describe(value) for value in (change.old, change.new))
    if not change.is_set:
        new = _("%(value)s (from the environment)") % {"value": new}
    return Line(change.variable.label, old, new, change.variable.help)


@admin.register(OperatorSettings)
class OperatorSettingsAdmin(ReadOnlyAdmin):
    """The page of the settings stands in the place of the list. A row is one change."""

    fields = readonly_fields = ("created_at", "actor", "reason", "what")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return SettingsPage(request, self).respond()

    @admin.display(description=gettext_lazy("changes"))
    def what(self, row: OperatorSettings) -> str:
        lines = [(line.label, line.old, line.new) for line in list_lines(row)]
        return format_html_join("", "<p>{}: {} → {}</p>", lines) or "–"


def list_lines(row: OperatorSettings) -> list[Line]:
    known = (changes.load_change(stored) for stored in row.changes)
    return [describe_change(change) for change in known if change]


class SettingsPage:
    """Shows the form on GET, the preview on POST; saves on POST with `confirm`."""

    def __init__(self, request: HttpRequest, model_admin: OperatorSettingsAdmin) -> None:
        self.request = request
        self.model_admin = model_admin
        self.now = current.load()
        self.may_change = request.user.has_perm(MAY_CHANGE)

    def respond(self) -> HttpResponse:
        if self.request.method != "POST":
            return self._show_form(SettingsForm(self.now))
        if not self.may_change:
            raise PermissionDenied
        form = SettingsForm(self.now, self.request.POST)
        if form.number != self.now.number:
            return self._refuse_stale(form)
        if not form.is_valid() or "edit" in self.request.POST:
            return self._show_form(form)
        found = changes.list_changes(self.now, form.wanted, form.restored)
        if not found:
            form.add_error(None, _("Nothing has been changed."))
            return self._show_form(form)
        return self._confirm(form, found)

    def _confirm(self, form: SettingsForm, found: list[Change]) -> HttpResponse:
        is_confirmed = "confirm" in self.request.POST
        reason_form = ReasonForm(self.request.POST if is_confirmed else None)
        if not (is_confirmed and reason_form.is_valid()):
            return self._show_preview(form, found, reason_form)
        try:
            self._save(form, found, reason_form.cleaned_data["reason"])
        except StaleSettings:
            self.now = current.load()
            return self._refuse_stale(SettingsForm(self.now, self.request.POST))
        text = _("Saved. All workers use the new settings within %(seconds)d seconds.")
        messages.success(self.request, text % {"seconds": watch.SECONDS_TO_EFFECT})
        return HttpResponseRedirect(self.request.path)

    def _save(self, form: SettingsForm, found: list[Change], reason: str) -> None:
        """Raises StaleSettings."""
        actor = require_user(self.request)
        with atomic():
            row = changes.save(
                before=self.now,
                wanted=form.wanted,
                restored=form.restored,
                actor=actor,
                reason=reason,
            )
            text = "; ".join([*map(str, found), reason])
            administrators_log.record(actor, Act.SET, row, text)

    def _refuse_stale(self, form: SettingsForm) -> HttpResponse:
        """Show what was typed over the present values, and what others have changed meanwhile."""
        rows = OperatorSettings.objects.filter(number__gt=form.number).select_related("actor")
        since = list(rows[:MOST_SHOWN])
        shown = load_snapshot(form.number)
        merged = SettingsForm(self.now, merge_typed(self.request.POST, shown, self.now))
        merged.is_valid()
        authors = ", ".join(dict.fromkeys(show_address(row.actor.email) for row in since))
        refusal = (
            _(
                "%(authors)s changed this after you had opened the page. Nothing was saved. Check "
                "the values and save again."
            )
            % {"authors": authors}
            if authors
            else _("This form is incomplete. Open it again.")
        )
        merged.add_error(None, refusal)
        for line in (line for row in since for line in list_lines(row)):
            merged.add_error(None, f"{line.label}: {line.old} → {line.new}")
        return self._show_form(merged)

    def _show_form(self, form: SettingsForm) -> HttpResponse:
        return self._render(
            "accounts/operator_settings.html",
            form=form,
            groups=[(title, list(self._list_rows(form, group))) for title, group in GROUPS],
            plans=Plan.objects.all()[:MOST_SHOWN],
            variables=self._list_environment(),
            **self._read_history(),
        )

    def _list_rows(
        self, form: SettingsForm, group: tuple[Variable, ...]
    ) -> Iterator[dict[str, Any]]:
        """Yield the settings of a group: the field, and where the value comes from."""
        for variable in group:
            is_set = variable.name in self.now.values
            yield {
                "field": form[variable.name],
                "variable": variable,
                "value": variable.describe(self.now.read_value(variable.name)),
                "is_set": is_set,
                "origin": _("set here") if is_set else self._describe_origin(variable.name),
                "environment": variable.describe(getattr(settings, variable.name)),
            }

    @staticmethod
    def _describe_origin(name: str) -> str:
        fact = settings.ENVIRONMENT_VARIABLES.get(name)
        return str(ORIGINS[fact.origin]) if fact else str(ORIGINS["default"])

    def _list_environment(self) -> list[dict[str, Any]]:
        """Return the variables that only the environment sets, without a secret."""
        in_form = {variable.name for _title, group in GROUPS for variable in group}
        return [
            {
                "name": name,
                "text": self._describe_secret(fact) if fact.is_secret else fact.text or "–",
                "origin": ORIGINS[fact.origin],
            }
            for name, fact in sorted(settings.ENVIRONMENT_VARIABLES.items())
            if name not in in_form
        ]

    @staticmethod
    def _describe_secret(fact: Any) -> str:
        return _("set, and not shown") if fact.is_set else _("not set")

    def _read_history(self) -> dict[str, Any]:
        try:
            before = parse_key(self.request.GET.get("before"))
        except IncorrectLookupParameters:
            before = None  # The page then begins with the newest change.
        rows = OperatorSettings.objects.select_related("actor")
        if before is not None:
            rows = rows.filter(number__lt=before)
        shown = list(rows[: MOST_SHOWN + 1])
        return {
            "history": [(row, list_lines(row)) for row in shown[:MOST_SHOWN]],
            "older": shown[MOST_SHOWN - 1].number if len(shown) > MOST_SHOWN else None,
            "is_older_page": before is not None,
        }

    def _show_preview(
        self, form: SettingsForm, found: list[Change], reason_form: ReasonForm
    ) -> HttpResponse:
        return self._render(
            "accounts/operator_settings_preview.html",
            form=form,
            reason_form=reason_form,
            lines=[describe_change(change) for change in found],
        )

    def _render(self, template: str, **context: Any) -> HttpResponse:
        frame: Mapping[str, Any] = self.model_admin.admin_site.each_context(self.request)
        return TemplateResponse(
            self.request,
            template,
            {
                **frame,
                "title": _("Settings"),
                "opts": self.model_admin.opts,
                "may_change": self.may_change,
                "seconds": int(watch.SECONDS_TO_EFFECT),
                "back": reverse("admin:accounts_operatorsettings_changelist"),
                **context,
            },
        )


def load_snapshot(number: int) -> Snapshot | None:
    """Return the settings after the change with this number; None if there is no such change."""
    if number == 0:
        return Snapshot()
    row = OperatorSettings.objects.filter(number=number).first()
    return current.make_snapshot(row.number, row.values) if row else None
