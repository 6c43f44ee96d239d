"""Pages of django-allauth about second factors, as far as ours differ."""

import time
from typing import Any

from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import DownloadRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView
from allauth.mfa.webauthn.views import RemoveWebAuthnView
from django.db.models import F, JSONField, Value
from django.db.models.expressions import CombinedExpression
from django.db.transaction import atomic
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext_lazy as _

from accounts.access import app_codes
from accounts.login import pending_app
from accounts.models import User

TOTP, PASSKEY = Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN


def _has_factor(user: User, kind: str) -> bool:
    return bool(Authenticator.objects.filter(user=user, type=kind).exists())


class SecondStep(AuthenticateView):
    """The second step of log-in.

    It first offers the code of an app, or a passkey without an app.
    """

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        user = self.stage.login.user
        context["has_app"], context["has_passkey"] = (
            _has_factor(user, TOTP),
            _has_factor(user, PASSKEY),
        )
        if not context["has_app"]:
            context["form"].fields["code"].label = _("Recovery code")
        return context


class SetUpApp(ActivateTOTPView):
    """Sets an authenticator app up. The code that was entered is then used up."""

    def form_valid(self, form: Any) -> HttpResponse:
        with atomic():
            response: HttpResponse = super().form_valid(form)
            app = Authenticator.objects.get(user=self.request.user, type=TOTP)
            app_codes.note_step(app, form.step)
        pending_app.end(self.request)
        return response


class NoteViewMixin:
    """Notes with one UPDATE that recovery codes were shown.

    allauth would write the whole row as it was read, and so undo that a code was used meanwhile.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            codes = Authenticator.objects.filter(
                user=request.user, type=Authenticator.Type.RECOVERY_CODES
            )
            viewed = Value({"viewed_at": time.time()}, JSONField())
            data = CombinedExpression(F("data"), "||", viewed, output_field=JSONField())
            codes.exclude(data__has_key="viewed_at").update(data=data)
        response: HttpResponseBase = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
        return response


class ViewRecoveryCodes(NoteViewMixin, ViewRecoveryCodesView):
    pass


class DownloadRecoveryCodes(NoteViewMixin, DownloadRecoveryCodesView):
    pass


class RemovePasskey(RemoveWebAuthnView):
    """Removes a passkey. The page warns if only the password is left after that."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        others = Authenticator.objects.filter(user=self.request.user, type__in=[TOTP, PASSKEY])
        is_last = not others.exclude(pk=self.object.pk).exists()
        context: dict[str, Any] = super().get_context_data(is_last=is_last, **kwargs)
        return context
