"""The frame of an act: facts, a form, a preview, a confirming POST, an entry in the log, a message.

Only the confirming POST writes. What was typed stays in the form when the act is refused, and when
the administrator starts again from the preview.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import formats
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.access.authentication import require_user
from accounts.admin.acts.links import add_links, locate
from accounts.models import User
from accounts.toolbox.exceptions import Refusal
from accounts.toolbox.request_source import Source

MAX_REASON = 500  # characters, as in the ledger's description
VERSION = "row_version"

Facts = Sequence[tuple[str | Promise, object]]


class ActRefused(Refusal):
    """The act cannot be done now. The message is for the administrator; nothing was changed."""

    status = 409
    code = "act_refused"


@dataclass(frozen=True, slots=True)
class By:
    """Who does an act, why, and the key of the form, with which it is done once."""

    actor: User
    reason: str
    key: str
    source: Source

    def explain(self, text: str) -> str:
        """Return the text for the administrators' log: what was done, and why."""
        return f"{text}: {self.reason}" if self.reason else text


def make_reason_field(**options: Any) -> forms.CharField:
    options = {"label": gettext_lazy("Reason"), **options}
    return forms.CharField(max_length=MAX_REASON, widget=UnfoldAdminTextInputWidget, **options)


class ReasonForm(forms.Form):
    """The fields of every act."""

    reason = make_reason_field(help_text=gettext_lazy("Other administrators can read this."))
    key = forms.CharField(max_length=40, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        if "key" in self.errors:
            self.add_error(None, _("This form is incomplete. Open it again."))
        return self.cleaned_data


class NoteForm(ReasonForm):
    """For acts that move no money: the reason may be left out."""

    reason = make_reason_field(
        label=gettext_lazy("Note"),
        required=False,
        help_text=gettext_lazy("Optional. The note is kept in the log."),
    )


class ActPage:
    """An act on one row, and its page. Subclasses define the facts and what is done.

    `name` is in the address. `at_once`: there is no preview to compute, so sending the form
    confirms it. `danger`: the button is red. `body` is a template between the facts and the form.
    `alternative` is the label of a second button, which sends `confirm=0`. `cleaned` is the valid
    form's cleaned data; it is empty before the form is valid.

    `bulk_form` is the form for many rows, where it is another one. `asks_network`: the act is not
    one transaction, because a server is asked in it.
    """

    name: ClassVar[str] = ""
    label: ClassVar[str | Promise] = ""
    icon: ClassVar[str] = "bolt"
    permission: ClassVar[str] = ""
    form_class: ClassVar[type[ReasonForm]] = ReasonForm
    at_once: ClassVar[bool] = True
    danger: ClassVar[bool] = False
    body: ClassVar[str] = ""
    alternative: ClassVar[str | Promise] = ""
    bulk_form: ClassVar[type[ReasonForm] | None] = None
    asks_network: ClassVar[bool] = False
    title: str
    verb: str

    def __init__(self, request: HttpRequest, model_admin: Any, row: Any = None) -> None:
        self.request = request
        self.admin = model_admin
        self.row = row
        self.actor = require_user(request)
        self.title = self.verb = str(self.label)

    @classmethod
    def explain_obstacle(cls, row: Any, actor: User) -> str:
        """Say why this act is not possible on this row now; return an empty text if it is."""
        return ""

    @classmethod
    def may_any(cls, actor: User) -> bool:
        """Whether the administrator may do this act on some row."""
        return actor.has_perm(cls.permission)

    @classmethod
    def may(cls, actor: User, row: Any) -> bool:
        """Whether the administrator may do this act on this row."""
        return cls.may_any(actor)

    @classmethod
    def do(cls, row: Any, by: By, cleaned: dict[str, Any]) -> str:
        """Do the act to one row, with its entry in the log; return what was done, for people.

        Raises Refusal, and then nothing was changed.
        """
        raise NotImplementedError

    @classmethod
    def warn(cls) -> str:
        """Return what the act does, of one row and of many; may be empty."""
        return ""

    @classmethod
    def links(cls, row: Any) -> tuple[Any, ...]:
        """Return the rows to which the message leads after the act; None is left out."""
        return ()

    @classmethod
    def describe(cls, row: Any) -> str:
        """Return the name of a row in a bulk act. It contains no personal data, as it stays."""
        return str(row)

    @classmethod
    def show(cls, row: Any) -> str:
        """Return the name of a row in the preview of a bulk act, with its user."""
        user = getattr(row, "user", None)
        return f"{row} · {user}" if user else str(row)

    @classmethod
    def weigh(cls, row: Any) -> int:
        """Return how many credits the act would move on this row, for the sum of a bulk act."""
        return 0

    @classmethod
    def explain_limit(cls, credits: int) -> str:
        """Say why so many credits are too many for one bulk act; empty if they are not."""
        return ""

    def form(self, data: Any = None) -> ReasonForm:
        return self.form_class(data, initial=self.initial())

    def initial(self) -> dict[str, Any]:
        return {"key": secrets.token_urlsafe(16)}

    def facts(self) -> Facts:
        """Return the labelled facts that are shown above the form."""
        return ()

    def state(self) -> str:
        """Return what of the row must be as the page had shown it; empty if all may change."""
        return ""

    def notice(self, cleaned: dict[str, Any]) -> str:
        """Return what the administrator must know before the confirmation; may be empty."""
        return self.warn()

    def button(self, cleaned: dict[str, Any]) -> str:
        """Return the label of the confirming button."""
        return self.verb

    def act(self, cleaned: dict[str, Any]) -> str:
        """Carry out the act and return the success message. Raises Refusal."""
        done = self.do(self.row, self.by(cleaned), cleaned)
        return add_links(done, *self.links(self.row))

    def by(self, cleaned: dict[str, Any]) -> By:
        source = Source.from_administrator(self.request)
        return By(self.actor, cleaned["reason"], cleaned["key"], source)

    def back(self) -> str:
        """Return the address to which the page leads back: the page of the row."""
        return locate(self.row)

    def explain(self, refusal: Refusal) -> str:
        """Return the refusal in words of the page."""
        return refusal.message

    def respond(self) -> HttpResponseBase:
        """Show the form on GET, the preview on POST; act on POST with `confirm`, then redirect."""
        if self.request.method != "POST":
            return self._show(self.form())
        form = self.form(self.request.POST)
        if "again" in self.request.POST:
            return self._show(form, is_again=True)
        is_confirmed = form.is_valid() and "confirm" in self.request.POST
        if is_confirmed and self.is_current(form) and self._try_to_act(form):
            return HttpResponseRedirect(self.back())
        return self._show(form)

    @property
    def row_version(self) -> str:
        """The version of what the page shows, for its hidden field."""
        facts = f"{self.name}|{getattr(self.row, 'pk', '')}|{self.state()}"
        return salted_hmac("accounts.admin.acts", facts).hexdigest()

    def is_current(self, form: ReasonForm) -> bool:
        """False, with an error in the form, if the row has changed since the page showed it."""
        shown = self.request.POST.get(VERSION, "")
        if not self.state() or constant_time_compare(shown, self.row_version):
            return True
        form.add_error(None, describe_stale())
        return False

    def _try_to_act(self, form: ReasonForm) -> bool:
        """Carry out the act; False if it was refused, which is shown as an error of the form."""
        try:
            messages.success(self.request, self.act(form.cleaned_data))
        except Refusal as refusal:
            form.add_error(None, self.explain(refusal))
            return False
        return True

    def context(self, cleaned: dict[str, Any], *, is_ready: bool) -> dict[str, Any]:
        """Return what the template needs besides; `is_ready`: the form is valid, or not needed."""
        return {"possible": True}

    def _show(self, form: ReasonForm, *, is_again: bool = False) -> HttpResponse:
        is_valid = form.is_bound and not is_again and form.is_valid()
        cleaned = form.cleaned_data if is_valid else {}
        is_ready = is_valid or self.at_once
        more = self.context(cleaned, is_ready=is_ready)
        context = {
            **self.admin.admin_site.each_context(self.request),
            "opts": self.admin.opts,
            "title": self.title,
            "page": self,
            "form": form,
            "errors": () if is_again else form.non_field_errors(),
            "asked": list_entered(form, cleaned),
            "confirming": is_valid and not self.at_once,
            "notice": self.notice(cleaned) if is_ready and more["possible"] else "",
            "button": self.button(cleaned) if is_valid else self.verb,
            **more,
        }
        return TemplateResponse(self.request, "accounts/acts/page.html", context)


def describe_stale() -> str:
    return _("This was changed after you had opened the page. Nothing was done. Look at it again.")


def list_entered(form: ReasonForm, cleaned: dict[str, Any]) -> list[tuple[Any, object]]:
    """Return the labels and values that were entered, as the preview shows them."""
    return [
        (field.label, _format_value(field, cleaned))
        for field in form.visible_fields()
        if cleaned.get(field.name)
    ]


def _format_value(field: forms.BoundField, cleaned: dict[str, Any]) -> object:
    value = cleaned[field.name]
    if isinstance(field.field, forms.ChoiceField):
        return dict(field.field.choices)[value]  # type: ignore[arg-type]
    if isinstance(value, bool):
        return _("Yes")
    if isinstance(value, int):
        return intcomma(value)
    return formats.date_format(value) if isinstance(value, date) else value
