"""What only the lab may know: generated once, kept encrypted, shown to nobody who did not ask."""
