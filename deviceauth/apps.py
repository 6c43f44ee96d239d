from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DeviceauthConfig(AppConfig):
    name = "deviceauth"
    verbose_name = _("Devices")

    def ready(self) -> None:
        from accounts import access
        from deviceauth import device_sessions

        access.ends_with(device_sessions.revoke_all)
