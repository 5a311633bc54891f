"""Mails as bytes, their links, and what the mail service tells of them. Pure."""
