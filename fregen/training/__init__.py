"""Training in software: epochs over a data set, checkpoints."""
