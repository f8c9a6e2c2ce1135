"""What an edit of a policy changes, rule by rule."""
