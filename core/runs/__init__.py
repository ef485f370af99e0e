"""Runs: folders, registries, models and stores."""
