"""Accounts in the admin. The user's page is registered by credits/admin/, which adds credits to it."""

from accounts.admin import bases

__all__ = ["bases"]
