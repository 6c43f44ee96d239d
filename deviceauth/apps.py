from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DeviceauthConfig(AppConfig):
    name = "deviceauth"
    verbose_name = _("Devices")
