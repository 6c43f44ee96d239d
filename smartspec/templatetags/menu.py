"""Titles of the admin's pages, in the words of its menu."""

from collections.abc import Iterable
from typing import Any

from django import template
from django.template import Context
from django.urls import reverse

register = template.Library()
# Rows whose text is made of columns, for programs and logs.
WITHOUT_NAMES = frozenset(
    (
        *("accounts.accountalert", "accounts.authevent", "admin.logentry"),
        *("credits.approval", "credits.auditrun", "credits.grant", "credits.hold"),
        *("credits.packagerequest", "credits.paymentcomparison", "credits.refillattempt"),
        *("credits.transaction", "deviceauth.devicecode"),
        *("oauth2_provider.accesstoken", "oauth2_provider.refreshtoken"),
    )
)


@register.filter("in_menu")
def title_in_menu(meta: Any) -> str:
    """Return how the menu calls the list of a model; one that is not in the menu by its name."""
    from smartspec.admin.sidebar import find_entry  # Unfold reads this module while it is loaded

    return find_entry(meta).title


@register.inclusion_tag("smartspec/saved_views.html", takes_context=True)
def saved_views(context: Context, label: str) -> dict[str, Any]:
    """Show the links to the saved views of a list."""
    from smartspec.admin.saved_views import list_links  # as above

    return {"links": list_links(label, context["request"].GET)}


@register.simple_tag(takes_context=True)
def export_address(context: Context, cl: Any) -> str:
    """Return the address at which the reader may export a list as it is filtered; else ""."""
    from smartspec.admin.exports import may_export  # as above

    meta = cl.opts
    if not may_export(context["request"], cl.model):
        return ""
    page = reverse("admin_export", args=[meta.app_label, meta.model_name])
    return page + str(cl.get_query_string()) if len(cl.get_query_string()) > 1 else page


@register.filter("as_row")
def name_row(row: Any) -> str:
    """Return how the title of a page calls a row: by its number if it has no name of its own."""
    meta = getattr(row, "_meta", None)
    return f"#{row.pk}" if meta is not None and meta.label_lower in WITHOUT_NAMES else str(row)


@register.filter("as_in_menu")
def rename_parts(parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the parts of a page's title, which Unfold makes, with the words of the menu.

    Unfold begins with the name of the application, which is nowhere in the menu.
    """
    from smartspec.admin.sidebar import find_entry_at  # as above

    parts = list(parts)
    for number, part in enumerate(parts):
        entry = find_entry_at(str(part.get("link", "")))
        if entry is not None:
            own = {"title": entry.title, "link": part["link"]}
            section = [{"title": entry.section}] if entry.section else []
            objects = [{**one, "title": name_row(one["title"])} for one in parts[number + 1 :]]
            return [*section, own, *objects]
    return parts
