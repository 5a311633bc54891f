"""Segments: groups of contacts, by rules or by hand."""
