"""A family as small as one can be."""
