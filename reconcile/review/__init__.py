"""What changes mean: access, tests and assertions, what was hardly meant."""
