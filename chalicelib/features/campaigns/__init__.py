"""Campaigns: what is sent to whom and when, and where each contact stands in it."""
