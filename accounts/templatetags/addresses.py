"""The template filter that shows an email address."""

from django import template

from accounts.email_addresses import show_address

register = template.Library()
register.filter("shown", show_address)
