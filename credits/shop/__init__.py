"""The pages on which people buy credits, and the route to which Stripe sends its events."""
