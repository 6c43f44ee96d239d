"""Pages of the admin on which an administrator changes something after a preview.

The lists are in credits/admin/.
"""
