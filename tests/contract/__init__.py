"""The wire, held against real servers: scenarios, their recordings, their replay."""
