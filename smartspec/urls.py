"""All URLs of the service."""

from allauth.account.decorators import secure_admin_login
from allauth.account.views import logout as log_out
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from accounts.login import factor_pages
from accounts.login.entrance_pages import ConfirmAddress, LogIn
from smartspec import openapi, operator_views, views
from smartspec.handbook import pages as handbook
from smartspec.personal_data import pages as personal_data

# What people type, and the page that they mean.
GUESSES = {
    "login": "account_login",
    "log-in": "account_login",
    "signin": "account_login",
    "sign-in": "account_login",
    "signup": "account_signup",
    "sign-up": "account_signup",
    "register": "account_signup",
    "logout": "account_logout",
    "dashboard": "account",
    "device": "device",
    "settings": "account_settings",
    "security": "account_security",
}

urlpatterns = [
    path("", views.home, name="home"),
    path("favicon.ico", views.favicon),
    path("healthz", views.healthz),
    path("readyz", views.readyz),
    path("metrics", operator_views.metrics),
    path("api/schema", openapi.serve, name="schema"),
    path("docs", handbook.docs, name="docs"),
    path("docs/api/<slug:slug>", handbook.reference, name="docs_reference"),
    path("docs/<slug:slug>", handbook.chapter, name="docs_chapter"),
    path("i18n/set", views.set_language, name="set_language"),
    *(path(guess, views.lead_on, {"name": name}) for guess, name in GUESSES.items()),
    # Administrators log in on the same page as users, so that its rate limits and second factors
    # apply to them, too. Django's own login form would accept another password during a session,
    # and its password change would not notify the user.
    path("admin/login/", secure_admin_login(RedirectView.as_view(pattern_name="admin:index"))),
    path("admin/logout/", log_out),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", include("smartspec.admin.urls")),
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
    path("account/data", personal_data.show, name="personal_data"),
    path("account/data/archive", personal_data.archive, name="personal_data_archive"),
    path("", include("accounts.urls")),
    path("", include("credits.urls")),
    path("", include("deviceauth.urls")),
    path("", include("llmproxy.urls")),
    re_path(r"^(?:api|v1)(?:/|$)", views.not_found),
]
