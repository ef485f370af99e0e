"""`python -m benchmarks NAME [--json] [--quick]`: one measurement, its ratio and its baseline.

Benchmarks that support it compute on a GPU with `--device cuda`, and with `--precision fp16` or
`bf16` in that precision.
"""

from __future__ import annotations

import argparse
import importlib
import json

from benchmarks.device import place_of

# Benchmarks that support --device.
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
    parser.add_argument("--quick", action="store_true", help="smaller input, less accurate figures")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16"), default="fp32")
    arguments = parser.parse_args()
    module = importlib.import_module(f"benchmarks.{arguments.name.replace('-', '_')}")
    if arguments.name in ON_DEVICES:
        place = place_of(arguments.device, arguments.precision)
        measurement = {**module.measure(arguments.quick, place), **place.describe()}
    elif (arguments.device, arguments.precision) != ("cpu", "fp32"):
        parser.error(
            f"{arguments.name} runs only on the CPU; --device is for {', '.join(ON_DEVICES)}"
        )
    else:
        measurement = module.measure(arguments.quick)
    result = {**measurement, "name": arguments.name, "what": measurement["name"]}
    if arguments.json:
        print(json.dumps(result))
        return
    for key, value in result.items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    main()
