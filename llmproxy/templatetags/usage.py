"""Template tags that show the recent usage of the reader, for the overview of an account.

All tags of a page share one statement. Nothing is shown to somebody who is not logged in.
"""

from typing import Any

from django import template

from accounts.models import User
from llmproxy.usage import charts
from llmproxy.usage.recent import Recent, foretell, read_recent

register = template.Library()
_KEPT = "llmproxy.usage.recent"


def _read_once(context: template.Context) -> tuple[User, Recent] | None:
    user = context.get("user")
    if not isinstance(user, User):
        return None
    if _KEPT not in context.render_context:
        context.render_context[_KEPT] = read_recent(user)
    return user, context.render_context[_KEPT]


@register.inclusion_tag("llmproxy/usage_sparkline.html", takes_context=True)
def usage_sparkline(context: template.Context) -> dict[str, Any]:
    """Show the credits used on each of the last 30 days as small bars, with a link to the page."""
    if (found := _read_once(context)) is None:
        return {}
    _, recent = found
    chart = charts.draw_bars(charts.group_days(recent.first, recent.days), "charged")
    return {"chart": chart, "recent": recent}


@register.inclusion_tag("llmproxy/used_recently.html", takes_context=True)
def used_recently(context: template.Context) -> dict[str, Any]:
    """Show the credits used today, in 7 and in 30 days."""
    found = _read_once(context)
    return {"recent": found[1]} if found else {}


@register.simple_tag(takes_context=True)
def days_left(context: template.Context) -> str:
    """Return about how long the reader's credits last, such as "9 to 14 days"; else nothing."""
    found = _read_once(context)
    return foretell(*found) if found else ""
