"""Credits that are given for free: the sign-up bonus and the monthly credits of plans."""
