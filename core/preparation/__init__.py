"""Preparation of a store's shards from a dataset's folder."""
