"""Gait-TR (Zhang et al. 2023)."""
