"""Settings at run time: which there are, what they are now, and how a change reaches each worker.

The page on which administrators change them is accounts/admin/operator_settings.py.
"""
