"""What a row looked like when a page of the admin showed it, and what has changed since.

A page carries its version in a hidden field, signed for one row. Columns that the page shows are in
it with their values, other guarded columns only as a keyed digest. Nothing is stored.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core import signing
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import ManyToManyField, Model, QuerySet
from django.forms.models import model_to_dict
from django.utils.crypto import salted_hmac
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext as _

from accounts.email_addresses import show_address

SALT = "accounts.admin.page_version"
MOST_SHOWN = 80  # characters of a value in a message
MOST_NAMES = 3  # administrators in a message

Columns = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """The columns of a row and of its inline rows, by table and primary key.

    `last_entry` is the newest entry of the administrators' log when the row was read.
    """

    row: Columns
    digests: dict[str, str]
    inlines: dict[str, dict[str, Columns]]
    last_entry: int

    def sign(self, obj: Model) -> str:
        facts = [self.row, self.digests, self.inlines, self.last_entry]
        return signing.dumps(facts, salt=_make_salt(obj), compress=True)

    def is_same(self, other: "Version") -> bool:
        return (self.row, self.digests, self.inlines) == (other.row, other.digests, other.inlines)


@dataclass(frozen=True, slots=True)
class Change:
    """A column of a row that has another value than the page showed, in words for the reader."""

    name: str
    label: str
    old: str
    new: str

    def __str__(self) -> str:
        return _("%(field)s: %(old)s → %(new)s") % {
            "field": self.label,
            "old": self.old,
            "new": self.new,
        }


def read_version(
    obj: Model,
    *,
    columns: Iterable[str],
    sealed: Iterable[str],
    inlines: Iterable[tuple[QuerySet[Any], Iterable[str]]],
) -> Version:
    """Read the version of a row. `inlines` are the rows that its page edits, and their columns."""
    newest = LogEntry.objects.order_by("-pk").values_list("pk", flat=True).first()
    return Version(
        row=read_columns(obj, columns),
        digests={name: _compute_digest(obj, name) for name in sealed},
        inlines={
            rows.model._meta.label_lower: {str(row.pk): read_columns(row, names) for row in rows}
            for rows, names in inlines
        },
        last_entry=newest or 0,
    )


def load_version(signed: str, obj: Model) -> Version | None:
    """Return the version that a page carried; None if it is missing or not of this row."""
    try:
        return Version(*signing.loads(signed, salt=_make_salt(obj)))
    except (signing.BadSignature, TypeError):
        return None


def _make_salt(obj: Model) -> str:
    return f"{SALT}:{obj._meta.label_lower}:{obj.pk}"


def read_columns(obj: Model, names: Iterable[str]) -> Columns:
    """Return the editable ones of these columns of a row, as JSON knows them."""
    values = model_to_dict(obj, fields=list(names))
    for name, value in values.items():
        if isinstance(obj._meta.get_field(name), ManyToManyField):
            values[name] = sorted(row.pk for row in value)
    plain: Columns = json.loads(json.dumps(values, cls=DjangoJSONEncoder))
    return plain


def _compute_digest(obj: Model, name: str) -> str:
    return salted_hmac(_make_salt(obj), str(getattr(obj, name)), algorithm="sha256").hexdigest()


def list_changes(obj: Model, *, old: Version, new: Version) -> list[Change]:
    """List the columns of the row itself that have changed."""
    changes = list(_compare(obj._meta, old.row, new.row))
    for name, digest in new.digests.items():
        if digest != old.digests.get(name):
            label = _get_label(obj._meta, name)
            changes.append(Change(name, label, _("as shown"), _("replaced")))
    return changes


def list_inline_changes(rows: Any, *, old: Version, new: Version) -> Iterator[str]:
    """Describe the rows of an inline that were added, removed or changed."""
    meta = rows.model._meta
    label = meta.label_lower
    before, after = old.inlines.get(label, {}), new.inlines.get(label, {})
    names = {str(row.pk): str(row) for row in rows}
    for key in before.keys() | after.keys():
        what = f"{capfirst(meta.verbose_name)} {names.get(key, key)}"
        if key not in after:
            yield _("%(what)s has been removed.") % {"what": what}
        elif key not in before:
            yield _("%(what)s has been added.") % {"what": what}
        else:
            for change in _compare(meta, before[key], after[key]):
                yield f"{what}, {change}"


def _compare(meta: Any, old: Columns, new: Columns) -> Iterator[Change]:
    for name in new:
        if name in old and old[name] != new[name]:
            then, now = (_describe(meta, name, columns) for columns in (old, new))
            yield Change(name, _get_label(meta, name), then, now)


def _describe(meta: Any, name: str, columns: Columns) -> str:
    """Return a column in words. A model says by itself what depends on another column."""
    describe = getattr(meta.model, "describe_column", None)
    words: str | None = describe(name, columns) if describe else None
    return show(meta.get_field(name), columns[name]) if words is None else words


def _get_label(meta: Any, name: str) -> str:
    return str(capfirst(meta.get_field(name).verbose_name))


def show(field: Any, value: Any) -> str:
    """Return the value of a column in words: labels of choices, names of related rows."""
    if value is None or value in ("", []):
        return "–"
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if field.is_relation:
        keys = value if isinstance(value, list) else [value]
        found = field.related_model._default_manager.filter(pk__in=keys)
        text = ", ".join(str(row) for row in found) or str(value)
    elif isinstance(value, list):
        text = ", ".join(map(str, value))
    else:
        python = field.to_python(value)
        if isinstance(python, Decimal):
            python = f"{python.normalize():f}"
        text = str(dict(field.flatchoices).get(python, python))
    return Truncator(text).chars(MOST_SHOWN)


def name_authors(obj: Model, since: Version | None) -> str:
    """Name the administrators who changed this row since; empty if the log knows none."""
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(obj),
        object_id=str(obj.pk),
        pk__gt=since.last_entry if since else 0,
    )
    if since is None:
        return ""
    names = dict.fromkeys(entries.order_by("-pk").values_list("user__email", flat=True))
    return ", ".join(show_address(name) for name in list(names)[:MOST_NAMES])
