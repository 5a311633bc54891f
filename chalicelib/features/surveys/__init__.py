"""Surveys: whom they are sent to, what was answered, and what follows from it."""
