"""Changes that keep a file's outer form, so that readers are reached behind their first checks."""

from __future__ import annotations

import io
import json
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tests.fuzz.lookup3 import lookup3

Random: TypeAlias = np.random.Generator
Piece: TypeAlias = bytes

_SIZES = (0, 1, 2, 3, 255, 65_535, 10**6, 2**31 - 1, 2**31, 2**32 - 1, 2**62)


def shuffled(pieces: list[Piece], others: Sequence[Piece], random: Random) -> list[Piece]:
    """Remove, repeat, swap, or bring in a piece."""
    if not pieces:
        return pieces
    at, to = int(random.integers(len(pieces))), int(random.integers(len(pieces)))
    what = int(random.integers(4))
    if what == 0:
        return pieces[:at] + pieces[at + 1 :]
    if what == 1:
        return pieces[:at] + [pieces[at]] * int(2 + random.integers(3)) + pieces[at + 1 :]
    if what == 2:
        pieces = list(pieces)
        pieces[at], pieces[to] = pieces[to], pieces[at]
        return pieces
    foreign = others[int(random.integers(len(others)))] if others else pieces[to]
    return [*pieces[:at], foreign, *pieces[at:]]


def _by_pieces(cut: Callable[[bytes], list[Piece]]) -> Callable[..., bytes]:
    def change(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
        others = cut(seeds[int(random.integers(len(seeds)))])
        return b"".join(shuffled(cut(content), others, random))

    return change


def opcodes(content: bytes) -> list[Piece]:
    """A pickle's instructions; one piece where it is none."""
    try:
        places = [place for _, _, place in pickletools.genops(content)]
    except Exception:  # pickletools raises nearly anything
        return [content]
    return [content[a:b] for a, b in zip(places, [*places[1:], len(content)], strict=True)]


def opcode_argument(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """Another small number, or other bytes, behind one instruction."""
    pieces = opcodes(content)
    at = int(random.integers(len(pieces)))
    if len(pieces[at]) > 1:
        inner = bytearray(pieces[at])
        inner[1 + int(random.integers(min(8, len(inner) - 1)))] = int(random.integers(256))
        pieces[at] = bytes(inner)
    return b"".join(pieces)


def png_chunks(content: bytes) -> list[Piece]:
    """Signature and chunks."""
    pieces, at = [content[:8]], 8
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        pieces.append(content[at:end])
        at = end
    return [*pieces, content[at:]]


def png_field(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """Change a chunk's content, with the right checksum."""
    pieces = png_chunks(content)
    at = int(random.integers(1, len(pieces))) if len(pieces) > 1 else 0
    body = bytearray(pieces[at][8:-4])
    if not body:
        return content
    for _ in range(1 + int(random.integers(3))):
        body[random.integers(min(len(body), 40))] = int(random.integers(256))
    kind = pieces[at][4:8]
    check = struct.pack(">I", zlib.crc32(kind + body))
    pieces[at] = struct.pack(">I", len(body)) + kind + bytes(body) + check
    return b"".join(pieces)


def png_pixels(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """Other rows, well packed, with the right checksum: too few, too many, of other filters."""
    rows = random.integers(0, 256, int(random.integers(1, 2000)), dtype=np.uint8).tobytes()
    packed = zlib.compress(rows * int(1 + random.integers(50)))
    chunk = struct.pack(">I", len(packed)) + b"IDAT" + packed
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    kept = [piece for piece in png_chunks(content) if piece[4:8] != b"IDAT"]
    return b"".join([*kept[:2], chunk, *kept[2:]])


def jpeg_segments(content: bytes) -> list[Piece]:
    """Start, segments, and all behind the start of scan as one piece."""
    pieces, at = [content[:2]], 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        pieces.append(content[at:end])
        at = end
    return [*pieces, content[at:]]


def zip_field(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """A telling number in a header of the archive."""
    marks = [m.start() for m in re.finditer(rb"PK(?:\x01\x02|\x03\x04|\x05\x06)", content)]
    if not marks:
        return content
    at = marks[random.integers(len(marks))] + 4 + 2 * int(random.integers(21))
    value = _SIZES[random.integers(len(_SIZES))]
    size = (2, 4)[random.integers(2)]
    limit: int = 256**size
    return content[:at] + (value % limit).to_bytes(size, "little") + content[at + size :]


def zip_members(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """A sound archive whose members are missing, twice, swapped, or changed in their headers."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(i.filename, archive.read(i)) for i in archive.infolist()]
    except Exception:  # whatever a broken archive ends in
        return content
    if not members:
        return content
    at, to = int(random.integers(len(members))), int(random.integers(len(members)))
    name, inner = members[at]
    what = int(random.integers(4))
    if what == 0:
        members[at] = (name, members[to][1])
    elif what == 1:
        members[at] = (name, inner[: int(random.integers(len(inner) + 1))])
    elif what == 2:
        del members[at]
    else:
        members[at] = (name, npy_header(inner, seeds, random))
    packing = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[random.integers(2)]
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", packing) as archive:
        for member, data in members:
            archive.writestr(member, data)
    return written.getvalue()


_HEADERS = (
    b"(10000000000,)",
    b"(-1,)",
    b"()",
    b"(0, 4)",
    b"(8, 0)",
    b"(3.5,)",
    b"None",
    b"(9,)" * 40,
    b"'<U1'",
    b"'|O'",
    b"'<f8'",
    b"'>f4'",
    b"'|S3'",
    b"'<U2000000000'",
    b"'<f4'",
    b"'<M8[s]'",
    b"'|V8'",
    b"[('a', '<f4')]",
    b"True",
    b"__import__('os')",
    b"(8,)",
    b"(4, 2)",
    b"'<c8'",
)


def npy_header(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """Another value in the header of an .npy file, whose length is right."""
    found = re.match(rb"\x93NUMPY(.)\x00(..)", content, re.DOTALL)
    if found is None:
        return content
    length = int.from_bytes(found[2], "little")
    text, rest = content[10 : 10 + length], content[10 + length :]
    values = list(re.finditer(rb": ('[^']*'|\([^)]*\)|True|False)", text))
    if not values:
        return content
    place = values[random.integers(len(values))]
    new = _HEADERS[random.integers(len(_HEADERS))]
    text = text[: place.start(1)] + new + text[place.end(1) :]
    return content[:8] + struct.pack("<H", len(text) % 65_536) + text + rest


def hdf5_block(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """Change a superblock or object header of HDF5, its checksum made right."""
    starts = [m.start() for m in re.finditer(rb"OHDR\x02", content)] + [0]
    at = starts[random.integers(len(starts))]
    end = _header_end(content, at) if at else 44
    if end is None or end + 4 > len(content):
        return content
    block = bytearray(content[at:end])
    for _ in range(1 + int(random.integers(3))):
        place = int(random.integers(5, len(block)))
        if random.random() < 0.5:
            block[place] = int(random.integers(256))
        else:
            value = _SIZES[random.integers(len(_SIZES))]
            block[place : place + 4] = (value % 2**32).to_bytes(4, "little")
    del block[end - at :]
    return content[:at] + block + struct.pack("<I", lookup3(bytes(block))) + content[end + 4 :]


def _header_end(content: bytes, at: int) -> int | None:
    if at + 6 > len(content):
        return None
    flags = content[at + 5]
    place = at + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    return place + width + int.from_bytes(content[place : place + width], "little")


def tensor_header(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """Change a value in the JSON header of a safetensors file, whose length is right."""
    length = int.from_bytes(content[:8], "little")
    try:
        header: Any = json.loads(content[8 : 8 + length])
        assert isinstance(header, dict)
    except (ValueError, AssertionError):
        return content
    header = changed_json(header, random)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    2**31,
    2**63,
    10**30,
    "",
    "x",
    "F32",
    "I64",
    "BOOL",
    "F8_E4M3",
    [],
    {},
    [0],
    [0, 0],
    [[1]],
    {"a": 1},
    "null",
    "[]",
    '{"format": 1}',
    '{"format": "1"}',
    "[" * 50_000,
)


def changed_json(tree: Any, random: Random) -> Any:
    """The tree with one node replaced, removed or renamed."""
    if isinstance(tree, dict) and tree and random.random() < 0.85:
        key = list(tree)[random.integers(len(tree))]
        what = random.random()
        if what < 0.1:
            return {k: v for k, v in tree.items() if k != key}
        if what < 0.2:
            return {(f"{k}x" if k == key else k): v for k, v in tree.items()}
        return {**tree, key: changed_json(tree[key], random)}
    if isinstance(tree, list) and tree and random.random() < 0.85:
        at = int(random.integers(len(tree)))
        return [*tree[:at], changed_json(tree[at], random), *tree[at + 1 :]]
    if isinstance(tree, str) and tree.startswith("{") and random.random() < 0.7:
        try:
            return json.dumps(changed_json(json.loads(tree), random))
        except ValueError:
            return tree[:-1]
    return _VALUES[random.integers(len(_VALUES))]


def json_text(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """A JSON file with one node changed."""
    try:
        return json.dumps(changed_json(json.loads(content), random)).encode()
    except (ValueError, RecursionError):
        return content


def box_size(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """Another size of a chunk (AVI), box (MP4) or element (Matroska): near a name of letters."""
    names = [m.start() for m in re.finditer(rb"[a-zA-Z0-9]{4}", content[:20_000])]
    if not names:
        return content
    at = names[random.integers(len(names))] + (4, -4)[random.integers(2)]
    if at < 0:
        return content
    value = _SIZES[random.integers(len(_SIZES))] % 2**32
    order = ("little", "big")[random.integers(2)]
    return content[:at] + value.to_bytes(4, order) + content[at + 4 :]  # type: ignore[arg-type]


def described(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """A file of torch.save with other instructions in its description, its tensors as they were."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(i.filename, archive.read(i)) for i in archive.infolist()]
    except Exception:  # whatever a broken archive ends in
        return content
    inner = [data for name, data in members if name.endswith("data.pkl")]
    change = (opcode_argument, _by_pieces(opcodes))[random.integers(2)]
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, data in members:
            changed = change(data, inner, random) if name.endswith("data.pkl") else data
            archive.writestr(name, changed)
    return written.getvalue()


MUTATORS: dict[str, tuple[Callable[..., bytes], ...]] = {
    "pickle": (_by_pieces(opcodes), _by_pieces(opcodes), opcode_argument),
    "npy": (npy_header,),
    "zip": (zip_field, zip_members, zip_members),
    "torch": (zip_field, zip_members, described, described),
    "hdf5": (hdf5_block,),
    "tensors": (tensor_header,),
    "image": (_by_pieces(png_chunks), png_field, png_pixels, _by_pieces(jpeg_segments)),
    "video": (box_size,),
    "json": (json_text,),
}
