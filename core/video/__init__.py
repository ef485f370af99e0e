"""Images and videos to frames in one geometry."""
