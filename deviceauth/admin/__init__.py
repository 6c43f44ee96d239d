"""Device login in the admin. No page shows a stored secret or edits what the protocol writes."""

from deviceauth.admin import clients, devices, tokens  # noqa: F401 – they register
