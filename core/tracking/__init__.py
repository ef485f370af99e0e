"""Person detection and tracking in videos."""
