from django.urls import path

from accounts import pages

urlpatterns = [
    path("account/security", pages.security, name="account_security"),
    path("account/security/browsers/end", pages.end_other_browsers, name="account_end_other_browsers"),
    path("account/security/browsers/<int:pk>/end", pages.end_browser, name="account_end_browser"),
    path("account/delete", pages.close, name="account_close"),
]
