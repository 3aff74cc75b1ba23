"""Queues: who comes, who is served when, and what is told of it."""
