"""OpenAI's routes: what it refuses, and how it answers."""
