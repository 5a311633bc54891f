"""Flows of analytics: what goes into the lake, and what is asked of it."""
