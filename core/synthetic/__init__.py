"""Synthetic walkers: identities, motion, clothes, scenes, and datasets made of them."""
