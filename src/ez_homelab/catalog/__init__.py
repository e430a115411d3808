"""The catalog: one folder per app, read lazily, checked strictly."""
