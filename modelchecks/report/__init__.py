"""Reports: each a pure function of a Run record."""
