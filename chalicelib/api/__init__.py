"""HTTP routes, one router for each section of the reference."""
