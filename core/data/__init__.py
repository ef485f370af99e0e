"""Clips, identity-balanced batches and their loader."""
