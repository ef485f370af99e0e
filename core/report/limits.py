"""How much of a store a report shows."""

from __future__ import annotations

MOST_SILHOUETTES = 60
