"""Unregister the admin pages of libraries that show nothing an operator can act on."""

import oauth2_provider.admin  # noqa: F401 – registers its tables, of which we keep what an app took over
from django.apps import apps
from django.contrib import admin
from unfold.admin import ModelAdmin

for model in apps.get_app_config("oauth2_provider").get_models():
    if admin.site.is_registered(model) and not isinstance(
        admin.site.get_model_admin(model), ModelAdmin
    ):
        admin.site.unregister(model)
