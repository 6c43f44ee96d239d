"""Template filters that show moments in the time zone of the reader."""

from datetime import UTC, datetime

from django import template
from django.utils.dateformat import format as format_date
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.languages import find_reader
from accounts.time_zones import zone_of

register = template.Library()

DAY_AND_TIME = "j M Y, H:i"


@register.filter("local_time")
def show_local_time(moment: datetime | None, shape: str = DAY_AND_TIME) -> SafeString | str:
    """Return a <time> in the reader's zone, with UTC in its title. None is shown as nothing.

    `shape` is a format of Django's `date` filter, such as "H:i".
    """
    if moment is None:
        return ""
    local = moment.astimezone(zone_of(find_reader()))
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.astimezone(UTC).isoformat(timespec="seconds"),
        f"{format_date(moment.astimezone(UTC), 'j M Y, H:i:s')} UTC",
        format_date(local, shape),
    )
