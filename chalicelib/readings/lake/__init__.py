"""Readings of the lake: what is live of a project, as tables of an engine that questions are put to."""
