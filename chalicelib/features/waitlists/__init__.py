"""Waitlists: who waits in which order, and who was approved."""
