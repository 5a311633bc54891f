"""Referral codes: what they are made of, and whose each is."""
