"""The fixtures of these checks."""

from tests.smartspec.admin_lists.stage import full_lists

__all__ = ["full_lists"]
