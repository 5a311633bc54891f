"""Contacts: who a person is."""
