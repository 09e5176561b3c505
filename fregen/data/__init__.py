"""Data sets: found, read, checked."""
