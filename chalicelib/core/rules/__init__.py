"""Rules over one contact: parsed once, compiled once, evaluated for any moment, with the moment at which they flip."""
