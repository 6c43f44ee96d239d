"""What all users used, for operators: roll-ups by hour and day, their fold, check, and figures."""
