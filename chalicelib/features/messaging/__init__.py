"""Messages: every mail of a campaign, what became of it, and the addresses that get none."""
