"""One run of a command: from files and options to plans and answers."""
