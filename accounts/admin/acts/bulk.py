"""An act on the selected rows of a list: its preview, and the POST that begins it."""

from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.access.authentication import require_user
from accounts.admin.acts import runs
from accounts.admin.acts.links import locate, locate_list
from accounts.admin.acts.page import ActPage, By, ReasonForm
from accounts.admin.acts.runs import MOST
from accounts.toolbox.exceptions import Refusal
from accounts.toolbox.request_source import Source


class BulkPage:
    """Shows what an act would do to each of these rows; the confirming POST begins it.

    Rows on which the act is not possible are shown with the reason, and are not sent by the form.
    What has changed since, the act itself finds out.
    """

    def __init__(self, request: HttpRequest, model_admin: Any, act: type[ActPage], rows: Any):
        self.request, self.admin, self.act = request, model_admin, act
        self.actor = require_user(request)
        found = list(rows[: MOST + 1])
        self.is_cut = len(found) > MOST
        self.rows = found[:MOST]

    def respond(self) -> HttpResponse:
        """Show the preview; with `confirm`, begin and lead to the page of the run."""
        previews = [(row, self._explain(row)) for row in self.rows]
        possible = [row for row, obstacle in previews if not obstacle]
        credits = sum(self.act.weigh(row) for row in possible)
        limit = self.act.explain_limit(credits)
        is_confirmed = "confirm" in self.request.POST
        form = self._make_form(self.request.POST if is_confirmed else None)
        if is_confirmed and form.is_valid() and not limit:
            try:
                return self._start(form)
            except Refusal as refusal:
                form.add_error(None, refusal.message)
        return self._show(form, previews, credits, limit)

    def _explain(self, row: Any) -> str:
        if not self.act.may(self.actor, row):
            return _("You may not do this to this row.")
        return self.act.explain_obstacle(row, self.actor)

    def _make_form(self, data: Any) -> ReasonForm:
        form_class = self.act.bulk_form or self.act.form_class
        return form_class(data, initial={"key": runs.make_key()})

    def _start(self, form: ReasonForm) -> HttpResponse:
        cleaned = form.cleaned_data
        source = Source.from_administrator(self.request)
        by = By(self.actor, cleaned["reason"], cleaned["key"], source)
        name = runs.name_act(self.admin, self.act)
        bulk = runs.start(name, self.act, self.rows, by)
        runs.run_chunk(bulk, self.act, self.admin.get_queryset(self.request), actor=self.actor)
        return HttpResponseRedirect(locate(bulk))

    def _show(
        self, form: ReasonForm, previews: list[tuple[Any, str]], credits: int, limit: str
    ) -> HttpResponse:
        possible = sum(not obstacle for _row, obstacle in previews)
        context = self.admin.admin_site.each_context(self.request) | {
            "title": self.act.label,
            "opts": self.admin.opts,
            "act": {"name": self.act.name, "is_dangerous": self.act.danger},
            "form": form,
            "errors": [*form.non_field_errors(), *filter(None, [limit])],
            "facts": self._list_facts(len(previews), possible, credits),
            "previews": [
                {
                    "row": row,
                    "name": self.act.show(row),
                    "address": locate(row),
                    "obstacle": obstacle,
                    "credits": 0 if obstacle else self.act.weigh(row),
                }
                for row, obstacle in previews
            ],
            "moves_credits": bool(credits),
            "possible": possible and not limit,
            "first": self.rows[:1],
            "warning": self.act.warn(),
            "is_cut": self.is_cut,
            "most": MOST,
            "checkbox": ACTION_CHECKBOX_NAME,
            "takes_all": self.request.POST.get("select_across") == "1",
            "back": f"{locate_list(self.admin.opts)}?{self.request.GET.urlencode()}",
        }
        return TemplateResponse(self.request, "accounts/acts/bulk.html", context)

    def _list_facts(self, every: int, possible: int, credits: int) -> list[tuple[str, object]]:
        facts: list[tuple[str, object]] = [
            (_("Selected"), count_rows(every)),
            (_("Possible"), count_rows(possible)),
            (_("Left out"), count_rows(every - possible)),
        ]
        return [*facts, (_("Credits together"), intcomma(credits))] if credits else facts


def count_rows(number: int) -> str:
    return ngettext("%(number)s row", "%(number)s rows", number) % {"number": intcomma(number)}


def make_bulk_action(act: type[ActPage]) -> Any:
    """Return the action of a list, as Django calls it."""

    def action(model_admin: Any, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse:
        return BulkPage(request, model_admin, act, chosen).respond()

    return action
