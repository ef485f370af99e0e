"""Raw datasets as they are delivered: found, listed, paired, read."""
