"""Two pages of django-allauth on the way in: log-in, and the code that confirms an address."""

from typing import Any

from allauth.account.internal.decorators import login_not_required
from allauth.account.views import ConfirmEmailVerificationCodeView, LoginView
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.generic.edit import FormView


class LogIn(LoginView):
    """Log-in, which is always reachable.

    allauth would send a browser with an unfinished sign-up to the page that asks for its code, even
    if the address has an account and no code was sent.
    """

    def _redirect_to_pending_stage(self, request: HttpRequest, stage: Any) -> None:
        return None


@method_decorator(login_not_required, name="dispatch")
class ConfirmAddress(ConfirmEmailVerificationCodeView):
    def _verify_form_invalid(self, form: Any) -> HttpResponse:
        """Count a wrong code; a text that cannot be a code uses up no attempt."""
        if form.is_malformed:
            response: HttpResponse = FormView.form_invalid(self, form)
            return response
        wrong: HttpResponse = super()._verify_form_invalid(form)
        return wrong
