"""Doubting the judge: planted faults, and proofs that a fault changes nothing."""
