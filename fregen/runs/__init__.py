"""What a run of the hardware is and must give; needs no simulator."""
