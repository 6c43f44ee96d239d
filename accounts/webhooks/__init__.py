"""Webhooks to users (Standard Webhooks, https://www.standardwebhooks.com): endpoints, messages.

Nothing here reaches the network: llmproxy/webhooks/ sends. The pages are in accounts/notices/.
"""
