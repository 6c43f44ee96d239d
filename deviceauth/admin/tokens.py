"""Access tokens and refresh tokens in the admin, without their values."""

import oauth2_provider.admin  # noqa: F401 – it registers the admins that are replaced here
from django.contrib import admin
from oauth2_provider.models import AccessToken, Grant, IDToken, RefreshToken

from accounts.admin.bases import ReadOnlyAdmin, SearchedByUser
from accounts.admin.word_filters import TokenFilter

for model in (AccessToken, Grant, IDToken, RefreshToken):
    admin.site.unregister(model)


@admin.register(AccessToken)
class AccessTokenAdmin(SearchedByUser, ReadOnlyAdmin):
    list_display = ("id", "user", "application", "scope", "created", "expires")
    list_select_related = ("application", "user")
    fields = ("user", "application", "scope", "created", "expires")


@admin.register(RefreshToken)
class RefreshTokenAdmin(SearchedByUser, ReadOnlyAdmin):
    list_display = ("id", "user", "application", "created", "revoked")
    list_filter = (TokenFilter,)
    list_filter_submit = True
    list_select_related = ("application", "user")
    fields = ("user", "application", "created", "revoked")
