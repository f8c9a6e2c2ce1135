"""Text with positions: YAML, HuJSON, variables, git, and how far files reach."""
