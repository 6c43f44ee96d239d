"""Credits that nobody pays for: the sign-up bonus and the monthly credits of plans."""
