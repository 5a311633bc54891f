"""Flows of webhooks: what is told to endpoints, how it gets there, and what is sent again."""
