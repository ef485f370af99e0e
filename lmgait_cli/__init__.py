"""The command line: parses and prints, and leaves the work to `core`."""
