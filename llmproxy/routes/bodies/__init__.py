"""From the bytes of a request body to JSON, and the names of what is left out of it.

What a body may say is in the modules above, one API dialect each.
"""
