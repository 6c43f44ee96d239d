"""The frame of the admin: its first page, its menu, and the library models that it leaves out."""

from smartspec.admin import library_models, users

__all__ = ["library_models", "users"]
