"""Asking surveys at their moment, taking answers, and acting on them."""
