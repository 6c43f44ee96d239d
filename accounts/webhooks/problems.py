"""Texts that say why an address may not be called, or why a call got no response."""

from django.utils.translation import gettext_lazy as _

PROBLEMS = {
    "not_a_url": _("Enter the whole address, such as https://example.com/hook, without a #."),
    "not_https": _("The address has to begin with https://."),
    "user_info": _("The address must not contain a name or password."),
    "other_port": _("The address must not have a port other than 443."),
    "not_a_name": _("Enter a public host name, such as example.com, not an IP address."),
    "not_public": _("The host name leads into a private network."),
    "unknown_name": _("The host name was not found."),
    "unreachable": _("The connection failed."),
    "tls": _("The certificate was not accepted."),
    "timeout": _("There was no response within 10 seconds."),
    "no_http": _("The response was not HTTP."),
    "unreadable": _("The secret cannot be read. Change the secret."),
}
