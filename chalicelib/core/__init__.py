"""Pure foundations: errors, identifiers, time, names. Nothing here does I/O."""
