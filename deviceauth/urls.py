from django.urls import path

from deviceauth import pages, views
from deviceauth.oauth import metadata

urlpatterns = [
    path("api/auth/device/code", views.DeviceCodeView.as_view(), name="device_code"),
    path("api/auth/device/verify", views.VerifyView.as_view(), name="device_verify"),
    path("api/auth/device/authorize", views.AuthorizeView.as_view(), name="device_authorize"),
    path("api/auth/device/token", views.DeviceTokenView.as_view(), name="device_token"),
    path("api/auth/device/revoke", views.DeviceRevokeView.as_view(), name="device_revoke"),
    path("api/auth/me", views.MeView.as_view(), name="me"),
    path("auth/device", pages.device, name="device"),
    path("auth/device/confirm/<str:token>", pages.confirm, name="device_confirm"),
    path("auth/device/undo/<str:token>", pages.undo, name="device_undo"),
    path(".well-known/oauth-authorization-server", metadata.document, name="oauth_metadata"),
]
