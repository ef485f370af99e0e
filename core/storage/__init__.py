"""Prepared datasets on disk: HDF5 shards with an index."""
