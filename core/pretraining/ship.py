"""Put trained encoders into the package, as those that configurations call ``embedded``.

``python -m core.pretraining.ship FOLDER`` takes what `lmgait pretrain-encoders` left.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from core.errors import DataError
from core.models.backbones.embedded import FILES, HASHES, file_hash, shipped_folder
from core.pretraining.record import RECORD, read_record
from core.pretraining.results import CARD, load_encoders
from core.system.files import output_errors, write_text

MOST_BYTES = 8 * 10**6


def ship_encoders(source: Path, target: Path) -> None:
    """Copy encoders, projection and card, and write down the SHA-256 of what is loaded.

    Args:
        source: The finished folder.
        target: Is replaced.

    Raises:
        WeightsError, CheckpointError: a file is missing, damaged or of another size.
        DataError: there is no record of the training, or the files are too large for the package.
        OutputError: ``target`` cannot be written to.
    """
    load_encoders(source, read_record(source / RECORD).recipe)
    size = sum((source / name).stat().st_size for name in FILES)
    if size > MOST_BYTES:
        raise DataError(
            f"The encoders take {size:,} bytes, more than {MOST_BYTES:,}",
            where=source,
            next_step="Train smaller ones.",
        )
    with output_errors(target):
        shutil.rmtree(target, ignore_errors=True)
        for name in (*FILES, CARD, RECORD):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)
    hashes = {name: file_hash(target / name) for name in FILES}
    write_text(target / HASHES, json.dumps(hashes, indent=2) + "\n")


def main() -> None:
    """Ship the encoders of a folder."""
    parser = argparse.ArgumentParser(prog="python -m core.pretraining.ship", description=__doc__)
    parser.add_argument("folder", type=Path)
    ship_encoders(parser.parse_args().folder, shipped_folder())


if __name__ == "__main__":
    main()
