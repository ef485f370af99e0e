"""Persons found in a video and followed from frame to frame."""
