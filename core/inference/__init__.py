"""What a trained model reads and gives: stored inputs, embeddings of a run."""
