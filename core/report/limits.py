"""Limits on the data shown in a report."""

from __future__ import annotations

MOST_SILHOUETTES = 60
