"""What a model sees of a sequence, as pictures."""
