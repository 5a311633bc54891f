"""Projects: tenants and their settings."""
