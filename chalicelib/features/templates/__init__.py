"""Templates: what mails are made from."""
