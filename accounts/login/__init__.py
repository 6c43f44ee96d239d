"""Sign-up, log-in and the security page, on django-allauth: adapter, forms, sessions, password
hashing.

What is granted afterwards is in access/.
"""
