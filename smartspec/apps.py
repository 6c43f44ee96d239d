from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SmartspecConfig(AppConfig):
    name = "smartspec"
    verbose_name = _("SmartSpec")
