"""Scores, retrievals and submissions computed from embeddings."""
