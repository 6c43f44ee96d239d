"""The charts on the first page of the admin. Their figures come from roll-ups; none is computed."""
