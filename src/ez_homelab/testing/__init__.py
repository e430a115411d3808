"""What tests need, shipped because users' own catalogs need it too: the test fleet, fake hosts, ready labs."""
