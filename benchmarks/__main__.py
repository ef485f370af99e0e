"""`python -m benchmarks NAME [--json] [--quick]`: one measurement, its ratio, its baseline.

`--device cuda` computes on a GPU, `--precision fp16` or `bf16` in that precision, where a benchmark
has to do with one.
"""

from __future__ import annotations

import argparse
import importlib
import json

from benchmarks.device import place_of

# Those that compute on a device of choice.
ON_DEVICES = ("loader", "train-step", "inference", "features")
NAMES = (
    "loader",
    "loader-worker",
    "train-step",
    "inference",
    "evaluate",
    "prepare",
    "prepare-video",
    "features",
    "silhouettes",
    "export",
    "crowds",
    "busy",
    "scale",
)


def main() -> None:
    """Run one benchmark; with ``--json`` the last line is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="smaller input, rougher figures")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16"), default="fp32")
    chosen = parser.parse_args()
    module = importlib.import_module(f"benchmarks.{chosen.name.replace('-', '_')}")
    if chosen.name in ON_DEVICES:
        place = place_of(chosen.device, chosen.precision)
        measured = {**module.measure(chosen.quick, place), **place.told()}
    elif (chosen.device, chosen.precision) != ("cpu", "fp32"):
        parser.error(f"{chosen.name} is of the CPU; a device takes {', '.join(ON_DEVICES)}")
    else:
        measured = module.measure(chosen.quick)
    result = {**measured, "name": chosen.name, "what": measured["name"]}
    if chosen.json:
        print(json.dumps(result))
        return
    for key, value in result.items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    main()
