"""Frozen encoders; the only home of transformers."""
