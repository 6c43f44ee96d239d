from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from accounts.database import functions
        from accounts.login import signal_handlers

        signal_handlers.connect_handlers()
        post_migrate.connect(functions.after_migrate, sender=self)
