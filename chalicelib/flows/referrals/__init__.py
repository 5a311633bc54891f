"""Referral programs: links, attribution, conversions, rewards and the board."""
