"""Programs that run inside containers all day. They stand alone: nothing here imports the rest of the package."""
