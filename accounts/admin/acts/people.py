"""Acts on a user: disable and enable, and revoke an API key."""

from typing import Any

from django.db.transaction import atomic
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.access import administrators_log, api_keys, done_by_administrators
from accounts.access.administrators_log import Act
from accounts.admin.acts.page import ActPage, ActRefused, By, Facts, NoteForm
from accounts.models import ApiKey, User


class UserAct(ActPage):
    """An act on a user that changes whether they may use the site."""

    permission = "accounts.disable_user"

    @classmethod
    def may(cls, actor: User, row: User) -> bool:
        """Only a superuser may disable or enable an administrator."""
        return super().may(actor, row) and (not row.is_staff or actor.is_superuser)

    @classmethod
    def describe(cls, row: User) -> str:
        return row.public_id

    def facts(self) -> Facts:
        user = self.row
        return (
            (_("User"), user),
            (_("Plan"), user.plan),
            (_("Credits"), user.credits),
            (_("Last login"), format_moment(user.last_login)),
            (_("API keys"), ApiKey.objects.live().filter(user=user).count()),
        )

    def state(self) -> str:
        return str(self.row.is_active)


class DisableUser(UserAct):
    name = "disable"
    label = gettext_lazy("Disable user")
    icon = "person_off"
    danger = True

    @classmethod
    def explain_obstacle(cls, row: User, actor: User) -> str:
        if row.closed_at is not None:
            return _("This account was deleted.")
        if row.pk == actor.pk:
            return _("You cannot disable your own account.")
        return "" if row.is_active else _("This user is disabled already.")

    @classmethod
    def warn(cls) -> str:
        return _(
            "The user is logged out everywhere, and every device is disconnected at once. API keys "
            "are refused while the user is disabled. Credits stay. A paid plan and automatic "
            "refills go on: end them on their own pages."
        )

    @classmethod
    def do(cls, row: User, by: By, cleaned: dict[str, Any]) -> str:
        if obstacle := cls.explain_obstacle(row, by.actor):
            raise ActRefused(obstacle)
        with atomic():
            if not User.objects.filter(pk=row.pk, is_active=True).update(is_active=False):
                raise ActRefused(_("This user is disabled already."))
            row.is_active = False
            done_by_administrators.finish_deactivation(row, source=by.source)
            administrators_log.record(by.actor, Act.DISABLED, row, by.explain("Disabled"))
        return _("The user is disabled and logged out everywhere.")


class EnableUser(UserAct):
    name = "enable"
    label = gettext_lazy("Enable user")
    icon = "person_check"

    @classmethod
    def explain_obstacle(cls, row: User, actor: User) -> str:
        if row.closed_at is not None:
            return _("This account was deleted.")
        return _("This user is not disabled.") if row.is_active else ""

    @classmethod
    def warn(cls) -> str:
        return _(
            "The user can log in again, and API keys work again. Devices have to be connected anew."
        )

    @classmethod
    def do(cls, row: User, by: By, cleaned: dict[str, Any]) -> str:
        with atomic():
            closed = User.objects.filter(pk=row.pk, is_active=False, closed_at=None)
            if not closed.update(is_active=True):
                raise ActRefused(_("This user is not disabled."))
            administrators_log.record(by.actor, Act.ENABLED, row, by.explain("Enabled"))
        return _("The user can log in again.")


class RevokeKey(ActPage):
    name = "revoke"
    label = gettext_lazy("Revoke")
    icon = "key_off"
    permission = "accounts.revoke_apikey"
    form_class = NoteForm
    danger = True

    @classmethod
    def explain_obstacle(cls, row: ApiKey, actor: User) -> str:
        if row.revoked_at is not None:
            return _("This key was revoked before.")
        is_live = ApiKey.objects.live().filter(pk=row.pk).exists()
        return "" if is_live else _("This key has expired.")

    @classmethod
    def links(cls, row: ApiKey) -> tuple[Any, ...]:
        return (row.user,)

    def facts(self) -> Facts:
        key = self.row
        return (
            (_("Key"), f"{key.name} {key.shown}"),
            (_("User"), key.user),
            (_("Created"), format_moment(key.created_at)),
            (_("Last used"), format_moment(key.last_used_at)),
        )

    @classmethod
    def warn(cls) -> str:
        return _("Programs that use this key are refused from now on. This cannot be undone.")

    @classmethod
    def do(cls, row: ApiKey, by: By, cleaned: dict[str, Any]) -> str:
        with atomic():
            if not api_keys.revoke(key=row, source=by.source):
                raise ActRefused(_("This key was revoked before."))
            administrators_log.record(by.actor, Act.REVOKED, row, by.explain("Revoked"))
        return _("The key is revoked.")


def format_moment(moment: Any) -> str:
    return formats.date_format(moment, "DATETIME_FORMAT") if moment else "–"
