"""Timers: what must happen at a moment, kept beside what it belongs to."""
