"""One module per rule; each has a `RULE`."""
