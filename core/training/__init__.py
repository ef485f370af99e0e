"""The training loop, optimiser, checkpoints and observers."""
