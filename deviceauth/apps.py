from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DeviceauthConfig(AppConfig):
    name = "deviceauth"
    verbose_name = _("Devices")

    def ready(self) -> None:
        from accounts.access import account_deletion, end_of_access
        from deviceauth import device_sessions

        end_of_access.register_ender(device_sessions.revoke_all)
        account_deletion.register_forgetter(device_sessions.forget_person)
