"""Checks that hold for each list of the admin, whatever it shows."""
