"""Everything that a person or a machine reads."""
