from django.apps import AppConfig
from django.db.models.signals import pre_migrate
from django.utils.translation import gettext_lazy as _


class CreditsConfig(AppConfig):
    name = "credits"
    verbose_name = _("Credits")

    def ready(self) -> None:
        from allauth.account.signals import email_confirmed

        import credits.purchases.checkout_events
        import credits.reversals.events  # noqa: F401 – registers its handlers
        from credits.database.roles import before_migrate
        from credits.documents import receivers
        from credits.gifts.signup_bonus import on_email_confirmed
        from credits.refills import events as refill_events
        from credits.subscriptions import endings
        from credits.subscriptions import events as plan_events

        refill_events.register()
        plan_events.register()
        endings.register()
        receivers.register()
        pre_migrate.connect(before_migrate, sender=self)
        email_confirmed.connect(on_email_confirmed, dispatch_uid="credits.gifts.signup_bonus")
