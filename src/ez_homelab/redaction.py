"""Takes known secret values out of everything that is printed, logged or stored."""
