from django.urls import path

from accounts import settings_page
from accounts.login import security_page
from accounts.notices import alerts_page, webhooks_page

WEBHOOK = "account/webhooks/<str:public_id>"

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
    path("account/settings", settings_page.show_settings, name="account_settings"),
    path("account/alerts", alerts_page.show, name="alerts"),
    path("account/webhooks", webhooks_page.show, name="webhooks"),
    path("account/webhooks/new", webhooks_page.add, name="webhook_new"),
    path(WEBHOOK, webhooks_page.detail, name="webhook"),
    path(f"{WEBHOOK}/test", webhooks_page.send_test, name="webhook_test"),
    path(f"{WEBHOOK}/secret", webhooks_page.change_secret, name="webhook_secret"),
    path(f"{WEBHOOK}/switch", webhooks_page.switch, name="webhook_switch"),
    path(f"{WEBHOOK}/remove", webhooks_page.remove, name="webhook_remove"),
    path("account/theme", settings_page.set_theme, name="set_theme"),
    path("account/time-zone", settings_page.learn_time_zone, name="learn_time_zone"),
    path("account/delete", security_page.close, name="account_close"),
]
