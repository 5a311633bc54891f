"""What every route shares: credentials, limits, validation, errors."""
