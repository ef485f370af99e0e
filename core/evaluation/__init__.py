"""From embeddings to scores, retrievals and submissions."""
