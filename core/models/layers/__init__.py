"""Layers that several model families share: no configuration, no family of their own."""
