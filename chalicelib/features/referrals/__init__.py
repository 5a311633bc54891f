"""Referral programs: who referred whom, what came of it, and what is owed for it."""
