"""Runs: their folders, their registries, their models and stores."""
