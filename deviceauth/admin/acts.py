"""Acts on devices: disconnect one, and refuse the request of one that waits."""

from typing import Any

from django.db.transaction import atomic
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.admin.acts.page import ActPage, ActRefused, By, Facts, NoteForm
from accounts.admin.acts.people import format_moment
from accounts.models import User
from deviceauth import device_flow, device_sessions
from deviceauth.models import DeviceCode, DeviceSession


class RevokeDevice(ActPage):
    name = "revoke"
    label = gettext_lazy("Disconnect")
    icon = "phonelink_erase"
    permission = "deviceauth.revoke_devicesession"
    form_class = NoteForm
    danger = True

    @classmethod
    def explain_obstacle(cls, row: DeviceSession, actor: User) -> str:
        return "" if row.revoked_at is None else _("This device was disconnected before.")

    @classmethod
    def links(cls, row: DeviceSession) -> tuple[Any, ...]:
        return (row.user,)

    @classmethod
    def describe(cls, row: DeviceSession) -> str:
        return f"#{row.pk}"

    def facts(self) -> Facts:
        row = self.row
        return (
            (_("Device"), row),
            (_("User"), row.user),
            (_("Application"), row.application),
            (_("Connected"), format_moment(row.created_at)),
            (_("Last used"), format_moment(row.last_used_at)),
        )

    @classmethod
    def warn(cls) -> str:
        return _("The device is disconnected at once. To connect again, it needs a new code.")

    @classmethod
    def do(cls, row: DeviceSession, by: By, cleaned: dict[str, Any]) -> str:
        with atomic():
            if not device_sessions.revoke(session=row, source=by.source):
                raise ActRefused(_("This device was disconnected before."))
            administrators_log.record(by.actor, Act.REVOKED, row, by.explain("Revoked"))
        return _("The device is disconnected.")


class RefuseCode(ActPage):
    name = "revoke"
    label = gettext_lazy("Refuse")
    icon = "block"
    permission = "deviceauth.revoke_devicecode"
    form_class = NoteForm
    danger = True

    @classmethod
    def explain_obstacle(cls, row: DeviceCode, actor: User) -> str:
        waits = row.status in (DeviceCode.Status.PENDING, DeviceCode.Status.AUTHORIZED)
        return "" if waits else _("This request has ended already.")

    def facts(self) -> Facts:
        row = self.row
        return (
            (_("Application"), row.application),
            (_("User"), row.user or "–"),
            (_("State"), row.get_status_display()),
            (_("Requested"), format_moment(row.created_at)),
            (_("Expires"), format_moment(row.expires)),
        )

    @classmethod
    def warn(cls) -> str:
        return _(
            "The device will receive a refusal. If it has connected meanwhile, it is disconnected."
        )

    @classmethod
    def do(cls, row: DeviceCode, by: By, cleaned: dict[str, Any]) -> str:
        with atomic():
            if not device_flow.withdraw(code=row, source=by.source):
                raise ActRefused(_("This request has ended already."))
            administrators_log.record(by.actor, Act.REVOKED, row, by.explain("Revoked"))
        return _("The request is refused.")
