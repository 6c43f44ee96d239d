"""The template tag that names the request, for people who report an error."""

from django import template

from accounts.toolbox.diagnosis.request_ids import get_request_id

register = template.Library()
register.simple_tag(get_request_id, name="request_id")
