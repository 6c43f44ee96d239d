"""The gateway's routes in the OpenAPI document."""
