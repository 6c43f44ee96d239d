"""Plans that are paid by the month: start, change, end, and the credits of each paid invoice."""
