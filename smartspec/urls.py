"""Every address of the service."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from django.views.i18n import set_language

from accounts.errors import not_found
from smartspec import openapi, views

urlpatterns = [
    path("", views.home, name="home"),
    path("favicon.ico", views.favicon),
    path("healthz", views.healthz),
    path("readyz", views.readyz),
    path("api/schema", openapi.serve, name="schema"),
    path("i18n/set", set_language, name="set_language"),
    # The one log-in page, so that its limits hold for administrators too.
    path("admin/login/", secure_admin_login(admin.site.login)),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.account.urls")),
    path("", include("credits.urls")),
    path("", include("deviceauth.urls")),
    path("", include("llmproxy.urls")),
    re_path(r"^(api|v1)/", not_found),
]
