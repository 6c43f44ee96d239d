#!/usr/bin/env python
"""Django's command line for SmartSpec."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartspec.settings")
    from django.conf import settings
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except OperationalError:
        if settings.DATABASE_IS_THERE:
            raise
        sys.exit("There is no database: start the site with `make run`, or set DATABASE_URL.")
