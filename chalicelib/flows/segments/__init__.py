"""Segments over contacts and their events: each file one use case, but for `gather` and `settle`, which they share."""
