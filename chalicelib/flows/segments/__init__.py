"""Segments over contacts and their events: each file one use case, but for `settle`, which they share."""
