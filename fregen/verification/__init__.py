"""Running a simulation and judging it, word for word."""
