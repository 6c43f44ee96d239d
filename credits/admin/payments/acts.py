"""Buttons that ask Stripe again, or note an answer: one POST each, without a page of their own.

What changes more has a page with a preview: accounts/admin/acts/.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.urls import URLPattern, path
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.functional import Promise

from accounts.admin.acts.page import VERSION, ActRefused, describe_stale

__all__ = ["ActRefused", "HasRowActs", "RowAct"]


@dataclass(frozen=True, slots=True)
class RowAct:
    """A button. `run` gets the request and the row, and returns what has been done.

    `run` returns a message, or a response that leads on. It raises ActRefused. `fits` says for
    which rows the button is offered.
    """

    name: str
    label: str | Promise
    icon: str
    permission: str
    run: Callable[[HttpRequest, Any], "str | HttpResponseBase"]
    fits: Callable[[Any], bool] = lambda row: True


class HasRowActs:
    """For a RowAdmin. `watched` are the columns that must be as the page had shown them."""

    row_acts: ClassVar[tuple[RowAct, ...]] = ()
    watched: ClassVar[tuple[str, ...]] = ()
    change_form_outer_before_template = "credits/admin_acts.html"

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"  # type: ignore[attr-defined]
        own = path(
            "<int:pk>/act/<slug:act>/",
            self.admin_site.admin_view(self.act_view),  # type: ignore[attr-defined]
            name=f"{name}_act",
        )
        return [own, *super().get_urls()]  # type: ignore[misc]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)  # type: ignore[attr-defined]
        own = {
            "row_acts": [act for act in self.row_acts if row and self._offers(request, row, act)],
            "row_version": self.seal_row(row) if row else "",
        }
        response: HttpResponse = super().change_view(  # type: ignore[misc]
            request, object_id, form_url, {**(extra_context or {}), **own}
        )
        return response

    def act_view(self, request: HttpRequest, pk: int, act: str) -> HttpResponseBase:
        """Do one act and show the row again. Raises PermissionDenied."""
        chosen = next((each for each in self.row_acts if each.name == act), None)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if chosen is not None and not request.user.has_perm(chosen.permission):
            raise PermissionDenied
        if (row := self.row(request, str(pk))) is None or chosen is None:  # type: ignore[attr-defined]
            return self.redirect_back(row)  # type: ignore[attr-defined,no-any-return]
        return self._run(request, row, chosen)

    def _run(self, request: HttpRequest, row: Any, act: RowAct) -> HttpResponseBase:
        back: HttpResponseBase = self.redirect_back(row)  # type: ignore[attr-defined]
        shown = request.POST.get(VERSION, "")
        if not constant_time_compare(shown, self.seal_row(row)) or not act.fits(row):
            messages.error(request, describe_stale())
            return back
        try:
            done = act.run(request, row)
        except ActRefused as refusal:
            messages.error(request, str(refusal))
            return back
        if isinstance(done, str):
            messages.success(request, done)
            return back
        return done

    def seal_row(self, row: Any) -> str:
        """Return the version of the row's watched columns, which its page carries."""
        facts = [str(row.pk), *(str(getattr(row, name)) for name in self.watched)]
        return salted_hmac("credits.admin.payments.acts", "|".join(facts)).hexdigest()

    def _offers(self, request: HttpRequest, row: Any, act: RowAct) -> bool:
        return request.user.has_perm(act.permission) and act.fits(row)
