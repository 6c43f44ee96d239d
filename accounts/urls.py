from django.urls import path

from accounts.login import security_page

urlpatterns = [
    path("account/security", security_page.security, name="account_security"),
    path(
        "account/security/browsers/end",
        security_page.end_other_browsers,
        name="account_end_other_browsers",
    ),
    path(
        "account/security/browsers/<int:pk>/end",
        security_page.end_browser,
        name="account_end_browser",
    ),
    path("account/delete", security_page.close, name="account_close"),
]
