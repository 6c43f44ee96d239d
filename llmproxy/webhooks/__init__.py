"""Sends the waiting messages of accounts/webhooks/ to the endpoints of users, with llmproxy/http1/.

No private IP address is called, whatever a name resolves to, and the time of each call is limited.
"""
