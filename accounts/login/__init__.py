"""Sign-up, log-in and the security page, based on django-allauth: adapter, forms, sessions,
password hashing, limits of wrong passwords.

What a user is given access with afterwards is in access/.
"""
