"""The OAuth protocol on oauthlib and django-oauth-toolkit: parameters, validation, token values,
errors, metadata.

The device flow itself is in device_flow.py.
"""
