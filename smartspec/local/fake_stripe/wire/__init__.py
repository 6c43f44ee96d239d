"""How Stripe speaks: forms, the types of the SDK, errors, amounts. It remembers nothing."""
