"""LMGait and its parts."""
