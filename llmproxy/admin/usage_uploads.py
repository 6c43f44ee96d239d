"""The upload of a provider's usage file, its preview, and the import."""

from datetime import UTC
from typing import Any

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget

from llmproxy.models import Provider, UsageImport
from llmproxy.reconciliation import imports
from llmproxy.reconciliation.cells import FileRefused
from llmproxy.reconciliation.files import File, read_file
from llmproxy.reconciliation.formats import BY_NAME

MOST_LISTED = 100
LEFT_OUT = {
    "totals": gettext_lazy("lines with totals"),
    "repeated": gettext_lazy("repeated requests"),
}
SCOPES = {
    "tokens": gettext_lazy("Tokens"),
    "embeddings": gettext_lazy("Tokens of embeddings"),
    "cost": gettext_lazy("Cost"),
}


class UploadForm(forms.Form):
    file = forms.FileField(
        label=gettext_lazy("Usage file (CSV)"),
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,text/csv,text/plain"}),
        help_text=gettext_lazy(
            "An export of OpenAI, Anthropic or OpenRouter of up to 2 MB. Nothing is changed before "
            "you have seen a preview. Larger files: manage.py import_usage."
        ),
        error_messages={
            "required": gettext_lazy("Choose a file."),
            "empty": gettext_lazy("The file is empty."),
        },
    )
    provider = forms.ModelChoiceField(
        Provider.objects.order_by("name"),
        label=gettext_lazy("Provider"),
        required=False,
        empty_label=gettext_lazy("Find it by the file"),
        widget=UnfoldAdminSelectWidget(),
    )

    read: File | None = None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        upload: UploadedFile | None = cleaned.get("file")
        if upload is not None:
            try:
                self.read = read_file(upload.read())
            except FileRefused as refused:
                self.add_error("file", str(refused))
                return cleaned
            if "provider" in cleaned:
                cleaned["provider"] = cleaned["provider"] or imports.find_provider(self.read)
                if cleaned["provider"] is None:
                    text = _("No provider here is certainly that of the file. Choose it.")
                    self.add_error("provider", text)
        return cleaned


class UploadPage:
    """Takes a file, shows what it would change, and imports it after a click."""

    def __init__(self, request: HttpRequest, model_admin: Any) -> None:
        self.request = request
        self.model_admin = model_admin
        self.back = reverse("admin:llmproxy_usageimport_changelist")
        self.form = UploadForm(request.POST or None, request.FILES or None)

    def receive(self) -> HttpResponseBase | None:
        """Keep the file as a draft and lead to its preview; None if the form has an error."""
        if not self.form.is_valid() or self.form.read is None:
            return None
        draft = imports.make_draft(
            self.form.read,
            provider=self.form.cleaned_data["provider"],
            file_name=self.form.cleaned_data["file"].name,
            user=self.request.user,  # type: ignore[arg-type]
        )
        return HttpResponseRedirect(reverse("admin:llmproxy_usageimport_preview", args=[draft.pk]))

    def preview(self, pk: int) -> HttpResponseBase:
        """Show a draft; import or discard it if that was clicked."""
        draft = UsageImport.objects.filter(pk=pk, imported_at=None).first()
        if draft is None:
            messages.error(self.request, _("This file has been imported or discarded already."))
            return HttpResponseRedirect(self.back)
        if self.request.method == "POST" and "discard" in self.request.POST:
            draft.delete()
            return HttpResponseRedirect(self.back)
        if self.request.method == "POST":
            try:
                seen = imports.import_draft(
                    pk,
                    digest=self.request.POST.get("shown", ""),
                    user=self.request.user,  # type: ignore[arg-type]
                )
            except imports.ImportChanged:
                text = _("Somebody has imported other days meanwhile. Check the changes again.")
                messages.error(self.request, text)
            else:
                return self._tell(seen)
        return self._show(draft)

    def _tell(self, seen: imports.Preview) -> HttpResponseRedirect:
        draft = seen.draft
        self.model_admin.log_addition(
            self.request,
            draft,
            f"Imported {draft.file_format} of {draft.provider}, {draft.first_day} to "
            f"{draft.last_day}, {draft.lines} lines, SHA-256 {draft.digest}.",
        )
        number = len({day.day for day in seen.days if day.kind != "same"})
        text = ngettext(
            "The usage of %(days)d day has been imported.",
            "The usage of %(days)d days has been imported.",
            number,
        )
        messages.success(self.request, text % {"days": number})
        return HttpResponseRedirect(f"{self.back}?{urlencode(_find_view(draft))}")

    def _show(self, draft: UsageImport) -> TemplateResponse:
        seen = imports.preview(draft)
        same = UsageImport.objects.filter(
            provider=draft.provider, digest=draft.digest, imported_at__isnull=False
        )
        changed = [day for day in seen.days if day.kind != "same"]
        context = self.model_admin.admin_site.each_context(self.request) | {
            "title": _("Import usage"),
            "opts": self.model_admin.opts,
            "draft": draft,
            "seen": seen,
            "format": BY_NAME[draft.file_format].label,
            "provider": Provider.objects.filter(slug=draft.provider).first() or draft.provider,
            "left_out": [(LEFT_OUT[name], count) for name, count in draft.left_out.items()],
            "days": [(SCOPES[day.scope], day) for day in changed[: imports.MOST_SHOWN]],
            "more": max(len(changed) - imports.MOST_SHOWN, 0),
            "unchanged": len(seen.days) - len(changed),
            "gone": seen.count("gone"),
            "earlier": same.order_by("-pk").first(),
            "back": self.back,
        }
        return TemplateResponse(self.request, "llmproxy/reconciliation/preview.html", context)


def _find_view(draft: UsageImport) -> dict[str, Any]:
    """The choices with which the page shows the days of an import."""
    today = timezone.now().astimezone(UTC).date()
    span = (draft.last_day - draft.first_day).days + 1
    return {
        "provider": draft.provider,
        "last": min(draft.last_day, today),
        "days": next((days for days in (7, 30) if span <= days), 90),
    }


def list_imports() -> list[dict[str, Any]]:
    """The last imports, newest first, with how many of their rows still count."""
    rows = (
        UsageImport.objects.filter(imported_at__isnull=False)
        .select_related("imported_by")
        .annotate(rows=Count("usages"), current=Count("usages", filter=Q(usages__is_current=True)))
        .order_by("-imported_at")[:MOST_LISTED]
    )
    names = dict(Provider.objects.values_list("slug", "name"))
    return [
        {
            "row": row,
            "provider": names.get(row.provider, row.provider),
            "format": BY_NAME[row.file_format].label if row.file_format in BY_NAME else "",
            "state": _describe_state(row.current, row.rows),
        }
        for row in rows
    ]


def _describe_state(current: int, rows: int) -> tuple[str, str]:
    if current == rows:
        return _("Counts"), "pill-good"
    return (_("Partly replaced"), "pill-waiting") if current else (_("Replaced"), "")
