"""The plain loop, optimiser, checkpoints and observers."""
