"""Labelled sheets and films, drawn: arrays in, pictures out. Only home of Pillow."""
