"""Two pages of django-allauth that also show which second factors the user has."""

from typing import Any

from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.views import RemoveWebAuthnView
from django.utils.translation import gettext_lazy as _

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


class RemovePasskey(RemoveWebAuthnView):
    """Removes a passkey. The page warns if only the password is left after that."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        others = Authenticator.objects.filter(user=self.request.user, type__in=[TOTP, PASSKEY])
        is_last = not others.exclude(pk=self.object.pk).exists()
        context: dict[str, Any] = super().get_context_data(is_last=is_last, **kwargs)
        return context
