"""Pictures of a model's intermediate results for a sequence."""
