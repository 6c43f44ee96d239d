"""The list of bulk acts, and the page of one: how far it is, and what became of each row."""

from typing import Any

from django.apps import apps
from django.contrib import admin, messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.access.authentication import require_user
from accounts.admin.acts import runs
from accounts.admin.acts.buttons import refuse
from accounts.admin.acts.links import locate, locate_list
from accounts.admin.acts.page import ActPage
from accounts.admin.bases import ReadOnlyAdmin
from accounts.models import BulkAct, BulkActRow


@admin.register(BulkAct)
class BulkActAdmin(ReadOnlyAdmin):
    """Who began an act sees it and goes on with it; others need the permission to see it."""

    list_display = ("created_at", "title", "actor", "reason", "progress", "finished_at")
    list_select_related = ("actor",)

    @admin.display(description=gettext_lazy("act"))
    def title(self, bulk: BulkAct) -> str:
        return describe(bulk)

    @admin.display(description=gettext_lazy("rows"))
    def progress(self, bulk: BulkAct) -> str:
        counts = runs.count(bulk)
        return f"{counts.ended} / {counts.every}"

    def has_view_permission(self, request: HttpRequest, obj: BulkAct | None = None) -> bool:
        is_own = obj is not None and obj.actor_id == request.user.pk
        return is_own or bool(super().has_view_permission(request, obj))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        """Show how far the act is; a POST does the next rows, or stops."""
        bulk = self.get_object(request, object_id)
        if not self.has_view_permission(request, bulk):
            raise PermissionDenied
        if bulk is None:
            messages.error(request, _("There is no record with this number."))
            return HttpResponseRedirect(locate_list(self.opts))
        return self._go_on(request, bulk) if request.method == "POST" else self._show(request, bulk)

    def _go_on(self, request: HttpRequest, bulk: BulkAct) -> HttpResponseBase:
        actor, (model_admin, act) = require_user(request), find_act(bulk)
        may_view = model_admin.has_view_or_change_permission(request)
        if act is None or bulk.actor_id != actor.pk or not (may_view and act.may_any(actor)):
            return refuse(request, self, act or ActPage)
        if "stop" in request.POST:
            runs.stop(bulk)
            return HttpResponseRedirect(locate(bulk))
        runs.run_chunk(bulk, act, model_admin.get_queryset(request), actor=actor)
        if runs.count(bulk).waiting:
            return self._show(request, bulk, is_going=True)
        messages.success(request, _("All rows are done or left out."))
        return HttpResponseRedirect(locate(bulk))

    def _show(self, request: HttpRequest, bulk: BulkAct, *, is_going: bool = False) -> HttpResponse:
        """Show the page. In the response to a POST, a script goes on with the next rows."""
        counts = runs.count(bulk)
        context = self.admin_site.each_context(request) | {
            "title": describe(bulk),
            "opts": self.opts,
            "bulk": bulk,
            "counts": counts,
            "progress": describe_progress(counts),
            "rows": [(row, locate_row(bulk, row)) for row in bulk.rows.order_by("pk")],
            "may_go_on": bulk.actor_id == request.user.pk,
            "is_going": is_going,
            "back": locate_list(find_act(bulk)[0].opts),
        }
        return TemplateResponse(request, "accounts/acts/run.html", context)


def find_act(bulk: BulkAct) -> tuple[Any, type[ActPage] | None]:
    """Return the admin of the rows of a bulk act, and the act; None if there is none any more."""
    label, _dot, name = bulk.act.rpartition(".")
    model_admin: Any = admin.site.get_model_admin(apps.get_model(label))
    found = (act for act in model_admin.bulk_acts if act.name == name)
    return model_admin, next(found, None)


def describe(bulk: BulkAct) -> str:
    """Return the name of a bulk act for people: what was done to which kind of rows."""
    model_admin, act = find_act(bulk)
    name = act.label if act else bulk.act
    return f"{name}: {model_admin.opts.verbose_name_plural}"


def describe_progress(counts: runs.Counts) -> str:
    """Say how many rows are done and left out."""
    text = _("%(ended)s of %(every)s rows: %(done)s done, %(skipped)s left out.")
    names = ("ended", "every", "done", "skipped")
    return text % {name: intcomma(getattr(counts, name)) for name in names}


def locate_row(bulk: BulkAct, row: BulkActRow) -> str:
    """Return the address of the row of the admin that this row stands for."""
    label = bulk.act.rpartition(".")[0].replace(".", "_")
    return reverse(f"admin:{label}_change", args=[row.object_id])
