"""Access to an account and its end: API keys, bearer authentication, browser sessions, second
factors, access events, account deletion.

The pages of log-in and sign-up are in login/.
"""
