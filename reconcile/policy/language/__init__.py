"""The words of a policy: fields, selectors, references, and its text."""
