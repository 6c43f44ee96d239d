"""All URLs of the service."""

from allauth.account.decorators import secure_admin_login
from allauth.account.views import logout as log_out
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from accounts.login import factor_pages
from accounts.login.entrance_pages import ConfirmAddress, LogIn
from smartspec import openapi, views

urlpatterns = [
    path("", views.home, name="home"),
    path("favicon.ico", views.favicon),
    path("healthz", views.healthz),
    path("readyz", views.readyz),
    path("api/schema", openapi.serve, name="schema"),
    path("i18n/set", views.set_language, name="set_language"),
    # Administrators log in on the same page as users, so that its rate limits and second factors
    # apply to them, too. Django's own login form would accept another password during a session,
    # and its password change would not notify the user.
    path("admin/login/", secure_admin_login(RedirectView.as_view(pattern_name="admin:index"))),
    path("admin/logout/", log_out),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
    path("accounts/login/", LogIn.as_view()),
    path("accounts/confirm-email/", ConfirmAddress.as_view()),
    path("accounts/", include("allauth.account.urls")),
    path("accounts/2fa/", RedirectView.as_view(pattern_name="account_security")),
    path("accounts/2fa/webauthn/", RedirectView.as_view(pattern_name="account_security")),
    path("accounts/2fa/authenticate/", factor_pages.SecondStep.as_view()),
    path("accounts/2fa/totp/activate/", factor_pages.SetUpApp.as_view()),
    path("accounts/2fa/recovery-codes/", factor_pages.ViewRecoveryCodes.as_view()),
    path("accounts/2fa/recovery-codes/download/", factor_pages.DownloadRecoveryCodes.as_view()),
    path("accounts/2fa/webauthn/keys/<int:pk>/remove/", factor_pages.RemovePasskey.as_view()),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("", include("accounts.urls")),
    path("", include("credits.urls")),
    path("", include("deviceauth.urls")),
    path("", include("llmproxy.urls")),
    re_path(r"^(?:api|v1)(?:/|$)", views.not_found),
]
