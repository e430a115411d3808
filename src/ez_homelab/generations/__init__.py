"""Every apply that was carried out, numbered, with everything it takes to have it again."""
