"""The page of a user's own data, and the archive itself."""

from allauth.account.decorators import reauthentication_required
from django.apps import apps
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.access.authentication import require_user
from accounts.models import User
from accounts.toolbox import rate_limits
from credits.months import parse_month, start_month
from credits.statements import months
from smartspec.personal_data.archive import MAX_ROWS, stream_archive
from smartspec.personal_data.tables import EXPORTED

ARCHIVES_PER_DAY = 5  # by one user: one may read a million rows
DAY_SECONDS = 24 * 3600


@require_safe
@never_cache
@login_required
def show(request: HttpRequest) -> HttpResponse:
    """`/account/data`."""
    user = require_user(request)
    listed = [(month, start_month(parse_month(month))) for month in months.list_months(user)]
    context = {"months": listed, "most": ARCHIVES_PER_DAY}
    return render(request, "smartspec/personal_data/page.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
@reauthentication_required  # type: ignore[untyped-decorator]  # because the archive has all data of the user
def archive(request: HttpRequest) -> HttpResponseBase:
    """`/account/data/archive`: ask on GET, send the file on POST."""
    user = require_user(request)
    if request.method != "POST":
        return render(request, "smartspec/personal_data/archive.html", {"most": ARCHIVES_PER_DAY})
    allowance = rate_limits.take(f"archives:{user.pk}", limit=ARCHIVES_PER_DAY, period=DAY_SECONDS)
    if not allowance.allowed:
        refusal = render(request, "429.html", status=429)
        refusal["Retry-After"] = str(allowance.retry_after)
        return refusal
    name = f"smartspec-data-{timezone.now():%Y-%m-%d}.zip"
    return StreamingHttpResponse(
        stream_archive(user, write_readme(user)),
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def write_readme(user: User) -> str:
    """Return the text that explains the archive, in the language of the page."""
    tables = [
        (table.name, apps.get_model(table.model)._meta.verbose_name_plural) for table in EXPORTED
    ]
    context = {"reader": user, "made_at": timezone.now(), "tables": tables, "most": MAX_ROWS}
    return render_to_string("smartspec/personal_data/readme.txt", context).lstrip()
