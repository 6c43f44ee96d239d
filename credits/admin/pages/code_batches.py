"""The pages on which administrators make, approve, hand out and revoke batches of codes."""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django import forms
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.admin.filters import DateInput
from accounts.toolbox.exceptions import Refusal
from accounts.toolbox.typed.names import clean_name
from credits import ledger
from credits.admin.pages.confirmed_form import (
    ConfirmedFormPage,
    Facts,
    ReasonForm,
    describe_needed_approval,
    make_reason_field,
)
from credits.admin.pages.decide_approval import DecideForm, is_rejection
from credits.codes import batches
from credits.codes.batches import MAX_SIZE, Wanted
from credits.csv_cells import escape_cell
from credits.models import CodeBatch
from credits.operators import approvals
from credits.operators.approvals import NotPending, OwnRequest

MAX_DAYS = 3650  # until a code, or the credits of a code, expire


class BatchForm(ReasonForm):
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("For administrators, such as “Meetup in Bangkok”."),
        widget=UnfoldAdminTextInputWidget,
    )
    size = forms.IntegerField(
        label=gettext_lazy("Number of codes"),
        min_value=1,
        max_value=MAX_SIZE,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    credits = forms.IntegerField(
        label=gettext_lazy("Credits per code"),
        min_value=1,
        max_value=ledger.MAX_AMOUNT,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    last_day = forms.DateField(
        label=gettext_lazy("Last day of the codes"),
        help_text=gettext_lazy("A code can be used until the end of this day (UTC)."),
        widget=DateInput,
    )
    credit_days = forms.IntegerField(
        label=gettext_lazy("Days until the credits expire"),
        required=False,
        min_value=1,
        max_value=MAX_DAYS,
        help_text=gettext_lazy("From the day on which a code is used. Empty: they never expire."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    is_once_per_user = forms.BooleanField(
        label=gettext_lazy("One code per person"),
        required=False,
        initial=True,
        widget=UnfoldBooleanWidget,
    )
    reason = make_reason_field(help_text=gettext_lazy("Other administrators can read this."))
    field_order = (
        *("name", "size", "credits", "last_day", "credit_days", "is_once_per_user"),
        *("reason", "key"),
    )

    def clean_name(self) -> str:
        return clean_name(self.cleaned_data["name"])

    def clean_last_day(self) -> date:
        day: date = self.cleaned_data["last_day"]
        today = datetime.now(UTC).date()
        if not today <= day <= today + timedelta(days=MAX_DAYS):
            raise forms.ValidationError(_("Choose a day between today and ten years from now."))
        return day


class NewBatchPage(ConfirmedFormPage):
    form_class = BatchForm

    def __init__(self, request: HttpRequest, model_admin: Any) -> None:
        super().__init__(request, model_admin)
        self.title, self.verb = _("New batch of codes"), _("Create batch")
        self.made: CodeBatch | None = None

    def notice(self, cleaned: dict[str, Any]) -> str:
        total = cleaned["size"] * cleaned["credits"]
        text = _("All codes together give %(total)s credits.") % {"total": intcomma(total)}
        return f"{text} {describe_needed_approval(total)}".strip()

    def button(self, cleaned: dict[str, Any]) -> str:
        is_large = approvals.needs_approval(cleaned["size"] * cleaned["credits"])
        return _("Request approval") if is_large else self.verb

    def act(self, cleaned: dict[str, Any]) -> str:
        facts = {name: cleaned[name] for name in Wanted.__slots__}
        self.made = batches.ask(Wanted(**facts), actor=self.actor, key=cleaned["key"])
        if self.made.state == CodeBatch.State.WAITING:
            return _("Your request has been sent. Another administrator must approve it.")
        return _("The batch is ready. Its codes are made when you download them.")

    def back(self) -> str:
        return lead_to(self.made)


class BatchPage(ConfirmedFormPage):
    """A page about one batch, whose facts stand above its form."""

    at_once = True

    def __init__(self, request: HttpRequest, model_admin: Any, batch: CodeBatch) -> None:
        super().__init__(request, model_admin)
        self.batch = batch

    def facts(self) -> Facts:
        batch = self.batch
        return (
            (_("Batch"), batch.name),
            (_("Number of codes"), intcomma(batch.size)),
            (_("Credits per code"), intcomma(batch.credits)),
            (_("All codes together"), intcomma(batch.total)),
            (_("Last day of the codes"), formats.date_format(batch.last_day)),
            (_("Reason"), batch.reason),
            (_("Made by"), batch.maker),
        )

    def explain(self, refusal: Refusal) -> str:
        if isinstance(refusal, NotPending):
            return _("Somebody has decided this before, or the codes exist. Nothing was changed.")
        if isinstance(refusal, OwnRequest):
            return _("Another administrator must decide on your request.")
        return super().explain(refusal)

    def back(self) -> str:
        return lead_to(self.batch)


class DecideBatchPage(BatchPage):
    """Approves a batch, or rejects it, by one of two buttons."""

    form_class = DecideForm
    alternative = gettext_lazy("Reject")

    def __init__(self, request: HttpRequest, model_admin: Any, batch: CodeBatch) -> None:
        super().__init__(request, model_admin, batch)
        self.title, self.verb = _("Approve or reject"), _("Approve")

    def act(self, cleaned: dict[str, Any]) -> str:
        is_approved = not is_rejection(self.request.POST)
        batches.decide(
            self.batch, is_approved=is_approved, actor=self.actor, note=cleaned["reason"]
        )
        if is_approved:
            return _("The batch is approved. Its codes are made when they are downloaded.")
        return _("The request has been rejected. Nothing was changed.")


class MakeCodesPage(BatchPage):
    """The codes are made by this form and are in its answer; nobody can read them again."""

    def __init__(self, request: HttpRequest, model_admin: Any, batch: CodeBatch) -> None:
        super().__init__(request, model_admin, batch)
        self.title, self.verb = _("Make the codes"), _("Make and download")

    def notice(self, cleaned: dict[str, Any]) -> str:
        return _(
            "Only this file contains the codes. Keep it safe. If it is lost, revoke the batch "
            "and make another one."
        )

    def respond(self) -> HttpResponseBase:
        """Respond with the codes to a valid POST with `confirm`, otherwise with the page."""
        form = self.form(self.request.POST if self.request.method == "POST" else None)
        if not form.is_valid() or "confirm" not in self.request.POST:
            return super().respond()
        try:
            codes = batches.make_codes(self.batch, actor=self.actor)
        except NotPending as refusal:
            form.add_error(None, self.explain(refusal))
            return self._show(form)
        return respond_with_csv(f"codes-{self.batch.pk}", [["code"], *([code] for code in codes)])


class ExportCodesPage(BatchPage):
    def __init__(self, request: HttpRequest, model_admin: Any, batch: CodeBatch) -> None:
        super().__init__(request, model_admin, batch)
        self.title, self.verb = _("Export"), _("Download CSV")

    def notice(self, cleaned: dict[str, Any]) -> str:
        return _("The file has the last four characters of each code, never a whole code.")

    def respond(self) -> HttpResponseBase:
        form = self.form(self.request.POST if self.request.method == "POST" else None)
        if not form.is_valid() or "confirm" not in self.request.POST:
            return super().respond()
        reason = form.cleaned_data["reason"]
        administrators_log.record(self.actor, Act.EXPORTED, self.batch, reason)
        return respond_with_csv(f"used-codes-{self.batch.pk}", list_uses(self.batch))


class RevokeBatchPage(BatchPage):
    danger = True

    def __init__(self, request: HttpRequest, model_admin: Any, batch: CodeBatch) -> None:
        super().__init__(request, model_admin, batch)
        self.title, self.verb = _("Revoke unused codes"), _("Revoke")

    def facts(self) -> Facts:
        unused = self.batch.codes.filter(user=None, revoked_at=None).count()
        return (*super().facts(), (_("Unused codes"), intcomma(unused)))

    def notice(self, cleaned: dict[str, Any]) -> str:
        return _("Credits that were given stay. The unused codes can never be used.")

    def act(self, cleaned: dict[str, Any]) -> str:
        number = batches.revoke(self.batch, actor=self.actor, reason=cleaned["reason"])
        text = ngettext("%(number)s code revoked.", "%(number)s codes revoked.", number)
        return text % {"number": intcomma(number)}


def list_uses(batch: CodeBatch) -> Iterable[list[Any]]:
    """Yield a header and a row for each code of a batch."""
    yield ["last four", "used by", "public id", "used", "revoked", "transaction"]
    for code in batch.codes.select_related("user").order_by("pk"):
        yield [
            code.last_four,
            str(code.user or ""),
            code.user.public_id if code.user else "",
            code.redeemed_at.isoformat() if code.redeemed_at else "",
            code.revoked_at.isoformat() if code.revoked_at else "",
            code.transaction_id or "",
        ]


def respond_with_csv(name: str, rows: Iterable[list[Any]]) -> HttpResponse:
    """Return a file of at most MAX_SIZE rows. Without the byte order mark, Thai is misread."""
    text = io.StringIO()
    csv.writer(text).writerows([escape_cell(cell) for cell in row] for row in rows)
    return HttpResponse(
        "\ufeff" + text.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}.csv"',
            "Cache-Control": "no-store",
        },
    )


def lead_to(batch: CodeBatch | None) -> str:
    """Return the address of a batch, of the list if there is none."""
    name = "admin:credits_codebatch"
    return reverse(f"{name}_change", args=[batch.pk]) if batch else reverse(f"{name}_changelist")
