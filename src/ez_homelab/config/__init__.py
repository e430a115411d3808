"""The lab a person describes, as one frozen model: `load_lab` reads it, everything else works on `Lab`."""
