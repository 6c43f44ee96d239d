from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class CreditsConfig(AppConfig):
    name = "credits"
    verbose_name = _("Credits")

    def ready(self) -> None:
        from allauth.account.signals import user_signed_up

        from credits.bonus import on_sign_up
        from credits.functions import after_migrate

        post_migrate.connect(after_migrate, sender=self)
        user_signed_up.connect(on_sign_up, dispatch_uid="credits.bonus")
