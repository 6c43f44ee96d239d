from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SmartspecConfig(AppConfig):
    name = "smartspec"
    verbose_name = _("SmartSpec")

    def ready(self) -> None:
        from smartspec import checks, payment_checks, tax_checks  # noqa: F401 – registers them
