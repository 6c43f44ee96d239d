"""The status of the installation in the admin: the strip on its first page, and all of it."""

from dataclasses import dataclass

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from smartspec.upkeep import areas, status
from smartspec.upkeep.conditions import Condition, Level, format_count

MOST_TOLD = 12  # sentences on the first page; the page of the status has all


@dataclass(frozen=True, slots=True)
class Line:
    """A condition with the address of the rows behind it, else of its area."""

    condition: Condition
    area: str | Promise
    url: str

    @property
    def level(self) -> Level:
        return self.condition.level

    @property
    def has_rows(self) -> bool:
        return "#" not in self.url


@dataclass(frozen=True, slots=True)
class Part:
    """An area: its most serious level, the sentence for it, and all its lines."""

    key: str
    title: str | Promise
    level: Level
    says: str
    url: str
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Strip:
    """What an administrator may see of the status. `told` are the problems, the worst first."""

    parts: list[Part]
    is_whole: bool

    @property
    def level(self) -> Level:
        return max(part.level for part in self.parts)

    @property
    def problems(self) -> list[Line]:
        lines = [line for part in self.parts for line in part.lines]
        told = [line for line in lines if line.level and not line.condition.is_detail]
        return sorted(told, key=lambda line: -line.level)

    @property
    def told(self) -> list[Line]:
        return self.problems[:MOST_TOLD]

    @property
    def untold(self) -> int:
        return len(self.problems) - len(self.told)

    @property
    def headline(self) -> str:
        """Say in few words whether somebody has to do something."""
        wrong = sum(line.level is Level.RED for line in self.problems)
        if wrong:
            text = ngettext("%(number)s thing is wrong", "%(number)s things are wrong", wrong)
            return text % format_count(wrong)
        if number := len(self.problems):
            text = ngettext(
                "Nothing is wrong. Look at %(number)s thing soon",
                "Nothing is wrong. Look at %(number)s things soon",
                number,
            )
            return text % format_count(number)
        return _("All is well") if self.is_whole else _("All that you may see is well")


def build_strip(request: HttpRequest) -> Strip | None:
    """Return the status as far as this administrator may see it; None if that is nothing."""
    seen = tuple(area for area in areas.AREAS if request.user.has_perm(area.permission))
    parts = [_build_part(request, found) for found in status.collect(seen)]
    return Strip(parts, is_whole=len(seen) == len(areas.AREAS)) if parts else None


def _build_part(request: HttpRequest, found: status.AreaStatus) -> Part:
    """Build an area. A condition leads to its rows only where the administrator may see them."""
    area = found.area
    url = f"{reverse('admin_status')}#{area.key}"
    lines = [
        Line(row, area.title, row.rows.url)
        if row.rows and request.user.has_perm(row.rows.permission)
        else Line(row, area.title, url)
        for row in found.conditions
    ]
    return Part(area.key, area.title, found.level, found.worst.says, url, lines)


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """`/admin/status/`: every condition, by area."""
    context = {
        **admin.site.each_context(request),
        "title": gettext_lazy("Status"),
        "strip": build_strip(request),
        "now": timezone.now(),
    }
    return render(request, "smartspec/status_page.html", context)
