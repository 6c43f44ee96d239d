"""How the gateway's routes look in the OpenAPI document."""
