"""The pages on which a user chooses alerts and manages webhooks."""
