"""Weights that other programs trained: read without trusting them, and put in their places."""
