"""The page of a user in the admin: who they are, and what they have, use, may and did.

It only shows; the form that changes a user is behind a button. Each tab reads its newest rows by an
index of the user, so a user with a million completions costs no more than a new one.
"""
