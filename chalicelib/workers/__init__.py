"""Queue, stream and schedule edge: plain functions that know nothing of HTTP."""
