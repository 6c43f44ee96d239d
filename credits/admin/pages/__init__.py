"""Pages of the admin on which an administrator changes something after a preview.

Lists are one folder above.
"""
