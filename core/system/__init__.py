"""Files, locks, signals, processes, YAML."""
