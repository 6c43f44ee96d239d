"""What programs ask about credits: as JSON, as tRPC, and as the OpenAPI document describes both.

Nothing here changes a row.
"""
