"""What real clients are shown of a tailnet, held against `access sees`."""
