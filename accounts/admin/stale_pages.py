"""The base of every page of the admin that changes a row: it refuses to save a stale page.

The check and the write are one transaction, in which the row is locked. A refused page keeps what
was typed, shows the present value of every other field, and says what has changed and by whom.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.admin import actions
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models import Model, QuerySet
from django.db.transaction import atomic
from django.forms.models import _get_foreign_key
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from accounts.admin import page_version
from accounts.admin.bases import SiteList
from accounts.admin.page_version import Version

VERSION = "page_version"  # the hidden field, in forms and on confirmation pages


class StalePage(Exception):
    """What the person confirmed is not what the row is now. The message is for the person."""


class VersionedForm(forms.ModelForm[Any]):
    """The part of a form that compares the version of its page with the row.

    `shown` is the version that the page carried, `now` that of the locked row, `inline_changes`
    what has become of the inline rows.
    """

    shown: ClassVar[Version | None]
    now: ClassVar[Version]
    inline_changes: ClassVar[list[str]]

    @property
    def page_version(self) -> str:
        """The version that the page carries from now on."""
        return self.now.sign(self.instance)

    def full_clean(self) -> None:
        super().full_clean()
        if self.is_bound and not (self.shown and self.shown.is_same(self.now)):
            self._refuse()

    def _refuse(self) -> None:
        self.add_error(None, describe_refusal(self.instance, self.shown))
        if self.shown is None:
            return
        changes = page_version.list_changes(self.instance, old=self.shown, new=self.now)
        for change in changes:
            is_typed = change.name in self.fields and self._is_typed(change.name)
            self.add_error(change.name if is_typed else None, str(change))
        for text in self.inline_changes:
            self.add_error(None, text)
        for name in self.now.row.keys() & self.fields.keys():
            if not self._is_typed(name):
                self._show_present_value(name)

    def _is_typed(self, name: str) -> bool:
        """Whether the person has entered another value than the page had shown."""
        if self.shown is None or name not in self.shown.row:
            return True
        column = self._meta.model._meta.get_field(name)
        value = self.shown.row[name]
        shown = value if column.is_relation else column.to_python(value)
        return bool(self.fields[name].has_changed(shown, self[name].data))

    def _show_present_value(self, name: str) -> None:
        present = self.initial.get(name)
        self.fields[name].bound_data = lambda data, initial: present  # type: ignore[method-assign]


def describe_refusal(obj: Model, shown: Version | None) -> str:
    """Say that a page was refused, and who changed the row if the log knows."""
    if authors := page_version.name_authors(obj, shown):
        text = _(
            "%(authors)s changed this after you had opened the page. Nothing was saved. Check "
            "the values and save again."
        )
        return text % {"authors": authors}
    return _(
        "This was changed after you had opened the page. Nothing was saved. Check the values and "
        "save again."
    )


class RefusesStalePages(SiteList):
    """For a ModelAdmin whose pages change rows.

    `sealed` are columns that no page shows and that a page nevertheless replaces, such as an
    encrypted key. `unwatched` are shown columns that the program itself changes.
    """

    sealed: ClassVar[tuple[str, ...]] = ()
    unwatched: ClassVar[tuple[str, ...]] = ()
    change_form_before_template = "accounts/page_version.html"

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return the row, locked if the request is about to change it in a transaction."""
        obj = super().get_object(request, object_id, from_field)  # type: ignore[misc]
        if obj is None or request.method != "POST" or not connection.in_atomic_block:
            return obj
        return lock_rows(self.get_queryset(request).filter(pk=obj.pk)).first()  # type: ignore[attr-defined]

    def read_version(self, request: HttpRequest, obj: Any) -> Version:
        """Read the version of this row. In a request that changes it, inline rows are locked."""
        shown = flatten_fieldsets(self.get_fieldsets(request, obj))  # type: ignore[attr-defined]
        return page_version.read_version(
            obj,
            columns=[name for name in shown if name not in self.unwatched],
            sealed=self.sealed,
            inlines=self.list_inline_rows(request, obj),
        )

    def list_inline_rows(
        self, request: HttpRequest, obj: Any
    ) -> list[tuple[QuerySet[Any], list[str]]]:
        """Return the rows that the inlines of this page may change, and their columns."""
        querysets = []
        for inline in self.get_inline_instances(request, obj):  # type: ignore[attr-defined]
            if not inline.has_change_permission(request, obj):
                continue
            key: Any = _get_foreign_key(type(obj), inline.model, fk_name=inline.fk_name)
            rows = inline.model._default_manager.filter(**{key.name: obj}).order_by("pk")
            if request.method == "POST" and connection.in_atomic_block:
                rows = lock_rows(rows)
            names = flatten_fieldsets(inline.get_fieldsets(request, obj))
            querysets.append((rows, names))
        return querysets

    def get_form(
        self,
        request: HttpRequest,
        obj: Any = None,
        change: bool = False,  # noqa: FBT001, FBT002 – Django's
        **kwargs: Any,
    ) -> type[forms.ModelForm[Any]]:
        options = {**kwargs, "change": change}
        form: type[forms.ModelForm[Any]] = super().get_form(request, obj, **options)  # type: ignore[misc]
        if obj is None or not change:
            return form
        now = self.read_version(request, obj)
        shown = page_version.load_version(request.POST.get(VERSION, ""), obj)
        inline_changes = self._list_inline_changes(request, obj, shown, now) if shown else []
        parts = {"shown": shown, "now": now, "inline_changes": inline_changes}
        return type(form.__name__, (VersionedForm, form), parts)

    def _list_inline_changes(
        self, request: HttpRequest, obj: Any, shown: Version, now: Version
    ) -> list[str]:
        return [
            text
            for rows, _names in self.list_inline_rows(request, obj)
            for text in page_version.list_inline_changes(rows, old=shown, new=now)
        ]

    def get_formset_kwargs(
        self, request: HttpRequest, obj: Any, inline: Any, prefix: str
    ) -> dict[str, Any]:
        """Show the present inline rows on a refused page, with what was typed over them."""
        options: dict[str, Any] = super().get_formset_kwargs(request, obj, inline, prefix)  # type: ignore[misc]
        shown = page_version.load_version(request.POST.get(VERSION, ""), obj) if obj.pk else None
        label = inline.model._meta.label_lower
        if shown is None or "data" not in options or label not in shown.inlines:
            return options
        present = self.read_version(request, obj).inlines[label]
        if present != shown.inlines[label]:
            write = getattr(inline, "write_columns", dict)
            then, now = (
                {key: write(columns) for key, columns in rows.items()}
                for rows in (shown.inlines[label], present)
            )
            options["data"] = merge_rows(options["data"], prefix, then, now)
        return options

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Compare the rows with the page that confirms their deletion. Raises StalePage."""
        rows = list(objs)
        if request.POST.get("post"):
            for row in rows:
                self.require_version(request, row)
        request.page_versions = [  # type: ignore[attr-defined]
            (f"{VERSION}-{row.pk}", self.read_version(request, row).sign(row)) for row in rows
        ]
        return super().get_deleted_objects(objs, request)  # type: ignore[misc]

    def require_version(self, request: HttpRequest, row: Any) -> None:
        """Raise StalePage unless the row is as the confirmation page showed it."""
        shown = page_version.load_version(request.POST.get(f"{VERSION}-{row.pk}", ""), row)
        if shown is None or not shown.is_same(self.read_version(request, row)):
            raise StalePage(f"{row}: {describe_refusal(row, shown)}")

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            response: HttpResponse = super().delete_view(request, object_id, extra_context)  # type: ignore[misc]
        except StalePage as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(request.get_full_path())
        return response

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        offered: dict[str, Any] = super().get_actions(request)  # type: ignore[misc]
        if "delete_selected" in offered:
            _act, name, description = offered["delete_selected"]
            offered["delete_selected"] = (delete_selected, name, description)
        return offered

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponse:
        """If somebody deleted the row while its form was filled in, show what was typed."""
        if request.method != "POST":
            missing: HttpResponse = super()._get_obj_does_not_exist_redirect(  # type: ignore[misc]
                request, opts, object_id
            )
            return missing
        entry = (
            LogEntry.objects.filter(
                content_type=ContentType.objects.get_for_model(opts.model),
                object_id=unquote(object_id),
                action_flag=DELETION,
            )
            .select_related("user")
            .order_by("-pk")
            .first()
        )
        context = self.admin_site.each_context(request) | {  # type: ignore[attr-defined]
            "title": _("This no longer exists"),
            "opts": opts,
            "entry": entry,
            "typed": list(self._list_typed(request)),
        }
        return TemplateResponse(request, "accounts/row_deleted.html", context, status=409)

    def _list_typed(self, request: HttpRequest) -> Iterable[tuple[str, str]]:
        """Yield the label and the text of each field that was sent, without passwords."""
        for name, field in self.get_form(request).base_fields.items():
            is_secret = isinstance(field.widget, forms.PasswordInput)
            if not is_secret and (values := request.POST.getlist(name)):
                yield str(field.label or name), ", ".join(values)


def lock_rows(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Lock rows against changes, not against new rows that refer to them."""
    return rows.select_for_update(no_key=True, of=("self",))


def delete_selected(
    model_admin: Any, request: HttpRequest, chosen: QuerySet[Any]
) -> HttpResponse | None:
    """Delete the selected rows after a confirmation, if they are still as it showed them."""
    try:
        with atomic():
            if request.POST.get("post"):
                list(lock_rows(chosen.order_by("pk")))
            response: HttpResponse | None = actions.delete_selected(model_admin, request, chosen)
    except StalePage as refusal:
        messages.error(request, str(refusal))
        return None
    return response


def merge_rows(
    sent: QueryDict, prefix: str, shown: dict[str, Any], present: dict[str, Any]
) -> QueryDict:
    """Return the data of a formset: the present rows, with what was typed over the shown ones.

    Rows that were removed meanwhile are left out, rows that were added are put in, and new rows
    that the person typed come last.
    """
    merged = sent.copy()
    forms_sent = _split_forms(merged, prefix)
    by_key = {_get_key(one): one for one in forms_sent}
    rows = [
        _merge_row(by_key.get(key, {}), shown.get(key, {}), columns) | {"id": [key]}
        for key, columns in present.items()
    ]
    new = [one for one in forms_sent if not _get_key(one)]
    for index, one in enumerate([*rows, *new]):
        for name, values in one.items():
            merged.setlist(f"{prefix}-{index}-{name}", values)
    merged[f"{prefix}-TOTAL_FORMS"] = str(len(rows) + len(new))
    merged[f"{prefix}-INITIAL_FORMS"] = str(len(rows))
    return merged


def _get_key(sent: dict[str, list[str]]) -> str:
    return sent.get("id", [""])[0]


def _split_forms(data: QueryDict, prefix: str) -> list[dict[str, list[str]]]:
    """Take the forms of a formset out of `data`, in the order of their numbers."""
    found: dict[int, dict[str, list[str]]] = {}
    for name in list(data):
        number, _sign, rest = name.removeprefix(f"{prefix}-").partition("-")
        if name.startswith(f"{prefix}-") and rest and number.isdecimal() and len(number) < 5:
            found.setdefault(int(number), {})[rest] = data.pop(name)
    return [found[number] for number in sorted(found)]


def _merge_row(
    sent: dict[str, list[str]], shown: dict[str, Any], present: dict[str, Any]
) -> dict[str, list[str]]:
    """Return the values of one row: those that were typed, else the present ones."""
    row = dict(sent)
    for name, value in present.items():
        typed = sent.get(name, [])
        if not sent or typed == _write(shown.get(name)):
            row[name] = _write(value)
    return row


def _write(value: Any) -> list[str]:
    """Return a value as a form sends it. A box that is not ticked is not sent."""
    if isinstance(value, bool):
        return ["on"] if value else []
    if isinstance(value, list):
        return [str(each) for each in value]
    return ["" if value is None else str(value)]
