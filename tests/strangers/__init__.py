"""What a stranger's files may try, and that it comes to nothing."""
