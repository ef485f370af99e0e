"""From a dataset's folder to the shards of a store."""
