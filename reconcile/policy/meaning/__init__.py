"""What a policy means beside users and nodes: what a server compiles."""
