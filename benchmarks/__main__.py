"""`python -m benchmarks NAME [--json] [--quick]`: one measurement, its ratio, its baseline."""

from __future__ import annotations

import argparse
import importlib
import json

NAMES = (
    "loader",
    "train-step",
    "inference",
    "evaluate",
    "prepare",
    "prepare-video",
    "features",
    "export",
    "crowds",
    "busy",
)


def main() -> None:
    """Run one benchmark; with ``--json`` the last line is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="smaller input, rougher figures")
    chosen = parser.parse_args()
    module = importlib.import_module(f"benchmarks.{chosen.name.replace('-', '_')}")
    measured = module.measure(chosen.quick)
    result = {**measured, "name": chosen.name, "what": measured["name"]}
    if chosen.json:
        print(json.dumps(result))
        return
    for key, value in result.items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    main()
