"""The OAuth protocol, based on oauthlib and django-oauth-toolkit: parameters, validation, token
values, errors, metadata.

The verbs of the device flow are in device_flow.py.
"""
