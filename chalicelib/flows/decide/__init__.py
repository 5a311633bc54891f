"""What a page or an app shows to one user now, of all features together."""
