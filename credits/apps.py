from django.apps import AppConfig
from django.db.models.signals import pre_migrate
from django.utils.translation import gettext_lazy as _


class CreditsConfig(AppConfig):
    name = "credits"
    verbose_name = _("Credits")

    def ready(self) -> None:
        from allauth.account.signals import email_confirmed

        from credits.database.roles import before_migrate
        from credits.gifts.signup_bonus import on_email_confirmed

        pre_migrate.connect(before_migrate, sender=self)
        email_confirmed.connect(on_email_confirmed, dispatch_uid="credits.gifts.signup_bonus")
