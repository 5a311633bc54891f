"""Activity: what a person did."""
