"""Joining waitlists, moving up in them by referrals, and being approved."""
