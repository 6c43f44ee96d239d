"""Which pages of ours may lead to a page of Stripe."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from csp.decorators import csp_update
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from credits.stripe_api.client import is_configured

View = Callable[..., HttpResponseBase]


def leads_to_stripe(view: View) -> View:
    """Let the forms of this page end at Stripe's pages, while something can be paid online.

    Chromium applies `form-action` to redirects too: it stops a form that our server answers with
    an address of Stripe, after our server has acted, and shows no error
    (https://www.w3.org/TR/CSP3/#directive-form-action).
    """

    @wraps(view)
    def decorated(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not is_configured():
            return view(request, *args, **kwargs)
        opened: View = csp_update({"form-action": settings.STRIPE_PAGES})(view)
        return opened(request, *args, **kwargs)

    return decorated
