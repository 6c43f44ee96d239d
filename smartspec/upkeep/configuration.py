"""The version that runs, and what is wrong with its settings: the deployment checks as warnings."""

import tomllib
from collections.abc import Iterator
from functools import cache

import django
from django.conf import settings
from django.core import checks
from django.core.checks.registry import registry
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.operation import current
from smartspec.checks import check_proxy
from smartspec.upkeep.conditions import Condition, Look, Rows, choose_level, format_count


def check_version(look: Look) -> Iterator[Condition]:
    """Which version runs."""
    values = read_version()
    says = _("SmartSpec %(version)s on Django %(django)s.") % values
    if settings.DEBUG:
        says += " " + _("DEBUG is on, as on a developer's machine: set DEBUG=false elsewhere.")
    yield Condition("version", choose_level(amber=settings.DEBUG), says, values)


def read_version() -> dict[str, str]:
    """Return the version of this code, and that of Django."""
    return {"version": _read_own_version(), "django": django.get_version()}


@cache
def _read_own_version() -> str:
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def check_settings(look: Look) -> Iterator[Condition]:
    """The deployment checks of security, for which a developer's machine is not meant."""
    found = [] if settings.DEBUG else list_warnings()
    says = _("The settings raise no warning.")
    if found:
        says = ngettext(
            "%(number)s warning about the settings: %(first)s",
            "%(number)s warnings about the settings. The first: %(first)s",
            len(found),
        ) % (format_count(len(found)) | {"first": found[0].msg})
    is_error = any(message.level >= checks.ERROR for message in found)
    values = {"warnings": [f"{message.id} {message.msg}" for message in found]}
    yield Condition("settings", choose_level(red=is_error, amber=found), says, values)


def check_maintenance(look: Look) -> Iterator[Condition]:
    """Whether an administrator has switched the maintenance on, which is easily left on."""
    is_on = bool(current.load().read_value("MAINTENANCE"))
    says = _("The API takes requests.")
    if is_on:
        says = _("Maintenance is on: the API refuses new requests with 503.")
    rows = Rows("accounts.operatorsettings")
    yield Condition("maintenance", choose_level(amber=is_on), says, {"is_on": is_on}, rows)


def list_warnings() -> list[checks.CheckMessage]:
    """Return the warnings and errors about the settings. It takes less than a millisecond."""
    # The check of the proxy asks the site itself, which a worker of the site must not wait for.
    found = [
        message
        for check in registry.get_checks(include_deployment_checks=True)
        if checks.Tags.security in check.tags and check is not check_proxy
        for message in check(app_configs=None)
    ]
    return [
        message
        for message in found
        if message.level >= checks.WARNING and not message.is_silenced()
    ]
