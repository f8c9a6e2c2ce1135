"""A control server as it is now: transport, key, snapshots, and an adapter a kind."""
