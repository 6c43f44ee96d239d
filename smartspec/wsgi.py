"""The WSGI application that gunicorn serves. It does not start with settings that the checks refuse."""

import os
from io import StringIO

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartspec.settings")
application = get_wsgi_application()
call_command("check", stdout=StringIO(), stderr=StringIO())
