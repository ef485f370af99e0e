"""Distances, ranks, protocols' tallies, intervals and coverage: pure functions on arrays."""
