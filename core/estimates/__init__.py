"""Estimates of the time, disk space and memory of remaining work."""
