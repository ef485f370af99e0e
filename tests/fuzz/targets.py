"""Readers of files that come from elsewhere, and good files to begin with."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import LmgaitError
from core.video.faults import FrameFault

if TYPE_CHECKING:
    from core.storage.silhouettes import SilhouettesInfo

Read = Callable[[Path], str | None]


@dataclass(frozen=True)
class Target:
    """A reader to fuzz.

    Attributes:
        name: Its name.
        ending: Of its files.
        form: Which changes know its format (see ``formats.MUTATORS``).
        seeds: Makes good files in a folder and gives their content.
        reader: Makes the function that reads one file; it returns what is wrong in words, or None.
        lost: Outcomes that the product survives, as it reads in a process that may be lost.
    """

    name: str
    ending: str
    form: str
    seeds: Callable[[Path], list[bytes]]
    reader: Callable[[Path], Read]
    lost: tuple[str, ...] = ()

    def allowed(self) -> tuple[str, ...]:
        """Outcomes that are no findings."""
        return ("read", "refused", *self.lost)

    def refusals(self) -> tuple[type[Exception], ...]:
        """What a reader may raise."""
        return (LmgaitError, FrameFault)


def pickle_seeds(folder: Path) -> list[bytes]:
    """Frames in several orders in memory, lists and arrays of frames, ratios; all protocols."""
    rgb = np.arange(2 * 6 * 4 * 3, dtype=np.uint8).reshape(2, 6, 4, 3)
    packed = np.empty(len(rgb), object)
    packed[:] = list(rgb)
    contents: list[Any] = [
        rgb,
        rgb.transpose(0, 3, 1, 2),
        packed,
        list(rgb),
        [frame[..., 0] for frame in rgb],
        [0.5, np.float64(0.4)],
        np.full((3, 2), 64),
        np.asfortranarray(rgb / 255),
        rgb[..., 0] > 9,
    ]
    return [pickle.dumps(content, protocol=p) for content in contents for p in (0, 2, 4, 5)]


def read_arrays(folder: Path) -> Read:
    """As ``prepare`` reads array files: frames, silhouettes or ratios."""
    from core.sources.arrays import read_array, rgb_frames, silhouette_frames, true_ratios
    from core.video.masks import MaskReader
    from core.video.pictures import Picture

    def silhouettes(content: object, where: str) -> list[Any]:
        masks: list[Any] = [np.ascontiguousarray(m) for m in silhouette_frames(content, where)]
        pictures = [Picture(mask) for mask in masks]
        reader = MaskReader(pictures[:5], scene=False)
        return [reader.read(picture)[0] for picture in pictures]

    def read(path: Path) -> str | None:
        content = read_array(path)
        refused = []
        for use in (
            lambda: rgb_frames(content, str(path)),
            lambda: silhouettes(content, str(path)),
            lambda: true_ratios(content, None, str(path)),
            lambda: true_ratios(content, "height,width", str(path)),
        ):
            try:
                found: Any = use()
                for frame in found if isinstance(found, list) else ():
                    assert np.ascontiguousarray(frame).dtype == np.uint8
            except FrameFault as fault:
                refused.append(fault)
        return None

    return read


def _poses() -> dict[str, NDArray[np.float32]]:
    made = np.random.default_rng(0).uniform(0, 90, (4, 18, 3)).astype("f4")
    return {"17": made[:, :17], "18": made, "flat": made[:, :17].reshape(4, 51), "led": made[None]}


def pose_seeds(ending: str, folder: Path) -> list[bytes]:
    """Poses of 17 and 18 joints in every shape, as pickles, JSON files or lines of a table."""
    contents = _poses()
    if ending == ".pkl":
        listed: list[Any] = [*contents.values(), list(contents["17"])]
        return [pickle.dumps(content, protocol=p) for content in listed for p in (0, 2, 4)]
    if ending == ".json":
        return [json.dumps(content[0].tolist()).encode() for content in contents.values()]
    lines = (",".join(map(str, row.tolist())) for row in contents["flat"])
    text = "\n".join(
        f"d/001-nm-01-090/{number:06d}.jpg,{line}" for number, line in enumerate(lines)
    )
    return [f"name,{','.join(['x'] * 51)}\n{text}\n".encode()]


def read_pose_files(ending: str, folder: Path) -> Read:
    """As ``prepare`` reads poses: finite numbers of 17 joints, or a refusal."""
    from core.manifests.load import load_manifest
    from core.records import SequenceKey
    from core.sources.pose_tables import read_table_index
    from core.sources.poses import read_poses
    from core.sources.raw import RawStream
    from core.sources.report import SequenceReport
    from core.video.faults import Effect

    form = load_manifest("casiab").forms[0]
    key = "{subject}-{type}-{view}"

    def read(path: Path) -> str | None:
        streams = [RawStream(str(path), "arrays")]
        if ending == ".csv":
            index = read_table_index(str(path), key, form)
            streams = [RawStream(str(path), "table", spans=lines.spans) for _, lines in index]
        elif ending == ".json":
            streams = [RawStream(str(path.parent), "frames", rf"(?P<frame>{path.stem})\.json")]
        for stream in streams:
            report = SequenceReport(SequenceKey("a", "b", "c"), path.parent)
            found = read_poses(stream, form, report, Effect.POSES_LEFT_OUT)
            if found.rows.shape != (len(found.stems), 17, 3) or not np.isfinite(found.rows).all():
                return f"poses {found.rows.shape}"
        return None

    return read


def npy_seeds(folder: Path) -> list[bytes]:
    """The same as .npy."""
    rgb = np.arange(2 * 6 * 4 * 3, dtype=np.uint8).reshape(2, 6, 4, 3)
    contents = (rgb, np.asfortranarray(rgb), rgb[..., 0] / 255, np.array([0.4, 0.5]), rgb > 9)
    found = []
    for content in contents:
        file = io.BytesIO()
        np.save(file, content)
        found.append(file.getvalue())
    return found


def npz_seeds(folder: Path) -> list[bytes]:
    """Embeddings, packed or not, with names as text or bytes."""
    from core.records import EmbeddingSet
    from core.storage.embeddings import write_embeddings

    values = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("f4")
    names = {name: np.array(["a", "bb", "c"]) for name in ("labels", "types", "views")}
    coded = {name: np.char.encode(value) for name, value in names.items()}
    np.savez_compressed(folder / "1.npz", embeddings=values[..., 0], **names)  # type: ignore[arg-type]
    np.savez(folder / "2.npz", embeddings=values, **coded)  # type: ignore[arg-type]
    plain = ("a", "bb", "c")
    write_embeddings(folder / "3.npz", EmbeddingSet(values, plain, plain, plain, "from here"))
    return [(folder / f"{n}.npz").read_bytes() for n in (1, 2, 3)]


def h5_seeds(folder: Path) -> list[bytes]:
    """Embeddings as HDF5: ours, of fixed strings, packed, and in the newer file format."""
    import h5py

    from core.records import EmbeddingSet
    from core.storage.embeddings import write_embeddings

    values = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("f4")
    plain = ("a", "bb", "c")
    write_embeddings(folder / "1.h5", EmbeddingSet(values, plain, plain, plain, "from here"))
    for number, libver in ((2, "earliest"), (3, "v110")):
        with h5py.File(folder / f"{number}.h5", "w", libver=libver) as file:
            file.create_dataset("embeddings", data=values, chunks=(1, 4, 2), compression="gzip")
            for name in ("labels", "types", "views"):
                file.create_dataset(name, data=np.array([b"a", b"bb", b"c"]))
    return [(folder / f"{n}.h5").read_bytes() for n in (1, 2, 3)]


def read_embeddings_file(folder: Path) -> Read:
    """As ``lmgait evaluate --embeddings`` reads."""
    from core.storage.embeddings import read_embeddings

    def read(path: Path) -> str | None:
        found = read_embeddings(path)
        if found.embeddings.dtype != np.float32 or found.embeddings.ndim != 3:
            return "not float32 [n, C, P]"
        if not np.isfinite(found.embeddings).all():
            return "not finite"
        count = {len(found), len(found.embeddings), len(found.types), len(found.views)}
        return None if len(count) == 1 else "other counts"

    return read


def read_hdf5_inside(folder: Path) -> Read:
    """What the child process does that reads them."""
    from core.storage.foreign_hdf5 import members_of

    def read(path: Path) -> str | None:
        found = members_of(path)
        objects = [name for name, value in found.items() if value.dtype.hasobject]
        return f"{objects} are objects" if objects else None

    return read


def shard_seeds(codec: str) -> Callable[[Path], list[bytes]]:
    """A shard of a store of fakes."""

    def seeds(folder: Path) -> list[bytes]:
        from tests.fakes.stores import KEYS, frames, write_shard

        write_shard(folder, 0, sorted(KEYS)[:2], [frames(2, 0), frames(1, 1)], codec)  # type: ignore[arg-type]
        return [(folder / "shard-00000.h5").read_bytes()]

    return seeds


def read_shard(codec: str, *, forged: bool = False) -> Callable[[Path], Read]:
    """As a store reads; what is read has to be what was written."""

    def reader(folder: Path) -> Read:
        """Frames other than those written are wrong, unless their checksums were forged."""
        from core.records import FRAME_HEIGHT, FRAME_WIDTH, SequenceKey
        from core.storage.shard import ShardReader

        key = SequenceKey("a", "b", "c")

        def digest(path: Path) -> str:
            opened = ShardReader(path, codec, 3)  # type: ignore[arg-type]
            try:
                frames = np.empty((3, FRAME_HEIGHT, FRAME_WIDTH, 3), np.uint8)
                opened.read_rgb([(0, 3)], key, frames)
                parts = (frames, *opened.read_silhouettes([(0, 3)], key))
                return hashlib.sha256(b"".join(p.tobytes() for p in parts)).hexdigest()
            finally:
                opened.close()

        good = folder / "good.h5"
        good.write_bytes(shard_seeds(codec)(folder)[0])
        expected = digest(good)
        if forged:
            return lambda path: None if digest(path) else ""
        return lambda path: None if digest(path) == expected else "other frames than written"

    return reader


def aligned_seeds(folder: Path) -> list[bytes]:
    """A shard of delivered silhouettes without RGB."""
    from tests.golden.make_v2 import store

    store(folder)
    return [(folder / "stores" / "aligned" / "shard-00000.h5").read_bytes()]


def read_aligned(folder: Path) -> Read:
    """As a store reads; what is read has to be what was written."""
    from core.records import SequenceKey
    from core.storage.shard import ShardReader
    from tests.golden.make_v2 import SIZE, delivered

    key, written = SequenceKey("a", "b", "c"), delivered(3)

    def read(path: Path) -> str | None:
        opened = ShardReader(path, "none", 4, {"aligned": (SIZE, 3)})
        try:
            found = opened.read_stream("aligned", 0, 3, 2, key)
            opened.read_silhouettes([(0, 4)], key)
        finally:
            opened.close()
        same = np.array_equal(found.rows, written.rows)
        same = same and np.array_equal(found.numbers, written.numbers)
        return None if same else "other silhouettes than written"

    return read


def stream_seeds(folder: Path) -> list[bytes]:
    """A shard of poses, parsing and flow beside delivered silhouettes."""
    from tests.golden.make_v3 import store

    store(folder)
    return [(folder / "stores" / "streams" / "shard-00000.h5").read_bytes()]


def read_streams(folder: Path) -> Read:
    """As a store reads; what is read has to be what was written."""
    from core.records import SequenceKey
    from core.storage.shard import ShardReader
    from tests.golden.make_v3 import STREAMS, rows

    key, written = SequenceKey("a", "b", "c"), {name: rows(name) for name in STREAMS}
    shapes = {name: (one.rows.shape[1:], 3) for name, one in written.items()}

    def read(path: Path) -> str | None:
        opened = ShardReader(path, "none", 4, shapes)
        try:
            found = {name: opened.read_stream(name, 0, 3, 2, key) for name in STREAMS}
        finally:
            opened.close()
        same = all(
            np.array_equal(one.rows, written[name].rows)
            and np.array_equal(one.numbers, written[name].numbers)
            for name, one in found.items()
        )
        return None if same else "other rows than written"

    return read


def feature_seeds(folder: Path) -> list[bytes]:
    """One part of stored features."""
    from core.storage.parts import Layout, write_part

    values = np.random.default_rng(0).normal(size=(3, 8)).astype("f4")
    layouts = dict.fromkeys(("plain", "mirrored"), Layout((8,), "float32"))
    write_part(folder / "part.h5", [{"plain": values, "mirrored": -values}], layouts)
    return [(folder / "part.h5").read_bytes()]


def read_features(folder: Path) -> Read:
    """As training reads them."""
    from core.storage.features import FeaturesInfo, FeatureStore
    from core.storage.parts import part_name

    info = FeaturesInfo(
        dtype="float32",
        dataset="x",
        store="0" * 64,
        encoder="x",
        tokens=2,
        channels=4,
        mirrored=True,
        parts=(((0, 2), (1, 1)),),
    )
    values = np.random.default_rng(0).normal(size=(3, 8)).astype("f4").reshape(3, 2, 4)

    def read(path: Path) -> str | None:
        path.replace(folder / part_name(0))
        store = FeatureStore(folder, info)
        try:
            for sign, mirrored in ((1, False), (-1, True)):
                found = [
                    store.read(0, [0, 1], mirrored=mirrored),
                    store.read(1, [0], mirrored=mirrored),
                ]
                if not np.array_equal(np.concatenate(found), sign * values):
                    return "other features than written"
        finally:
            store.close()
        return None

    return read


def _cuts() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Cut silhouettes of three frames; the second one has none."""
    values = np.random.default_rng(0).integers(1, 256, (3, 64, 64)).astype(np.uint8)
    values[1] = 0
    return values


def _cuts_info() -> SilhouettesInfo:
    from core.storage.silhouettes import SilhouettesInfo

    return SilhouettesInfo(
        dataset="x",
        store="0" * 64,
        size=64,
        interpolation="area",
        drop_sum=None,
        parts=(((0, 2), (1, 1)),),
    )


def silhouette_seeds(folder: Path) -> list[bytes]:
    """One part of cut silhouettes."""
    from core.storage.parts import write_part

    usable = np.array([1, 0, 1], np.uint8)
    content = {"silhouettes": _cuts(), "usable": usable}
    write_part(folder / "part.h5", [content], _cuts_info().layouts)
    return [(folder / "part.h5").read_bytes()]


def read_silhouettes(folder: Path) -> Read:
    """As training reads them."""
    from core.storage.parts import part_name
    from core.storage.silhouettes import SilhouetteStore

    def read(path: Path) -> str | None:
        path.replace(folder / part_name(0))
        store = SilhouetteStore(folder, _cuts_info())
        try:
            for index, frames, rows in ((0, [0], slice(0, 1)), (1, [0], slice(2, 3))):
                if store.usable(index).tolist() != frames:
                    return "other frames are usable"
                if not np.array_equal(store.read(index, frames), _cuts()[rows]):
                    return "other silhouettes than written"
        finally:
            store.close()
        return None

    return read


def tensor_seeds(folder: Path) -> list[bytes]:
    """A checkpoint of two layers, and its training state."""
    import torch

    from core.training.checkpoint import save_tensors

    config = {"seed": 0, "train": {"iterations": 2, "milestones": []}}
    header = {"config": config, "step": 2, "text_fingerprint": "a", "image_fingerprint": "b"}
    tensors = {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}
    save_tensors(folder / "1.safetensors", tensors, header)
    state = {f"optimizer.momentum_buffer.{name}": value for name, value in tensors.items()}
    save_tensors(folder / "2.safetensors", state, {"step": 2, "scaler": None})
    return [(folder / f"{n}.safetensors").read_bytes() for n in (1, 2)]


def read_checkpoint(folder: Path) -> Read:
    """As a model, and as a training state is loaded."""
    import torch

    from core.runs.load import config_of
    from core.training.checkpoint import load_strictly, load_tensors, restore_optimizer

    def read(path: Path) -> str | None:
        found = load_tensors(path)
        for key, kind in (("step", int), ("text_fingerprint", str)):
            _may_refuse(partial(found.told, key, kind))
        _may_refuse(lambda: config_of(found))
        module = torch.nn.Linear(3, 2)
        optimizer = torch.optim.SGD(module.parameters(), momentum=0.9)
        _may_refuse(lambda: load_strictly(module, found.tensors, optional=(), where=path))
        _may_refuse(lambda: restore_optimizer(module, optimizer, found.tensors, path))
        return None

    return read


def _may_refuse(call: Callable[[], object]) -> None:
    try:
        call()
    except LmgaitError:
        return


def image_seeds(folder: Path) -> list[bytes]:
    """PNG of all kinds and JPEG, small."""
    import cv2

    from tests.fakes import files

    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (24, 16, 3), dtype=np.uint8)
    images = (
        rgb,
        rgb[..., 0],
        random.integers(0, 256, (9, 7, 4), dtype=np.uint8),
        random.integers(0, 65_536, (5, 5, 3), dtype=np.uint16),
    )
    found = [cv2.imencode(".png", image)[1].tobytes() for image in images]
    found.append(cv2.imencode(".png", rgb[..., 0], (cv2.IMWRITE_PNG_BILEVEL, 1))[1].tobytes())
    for option in ((), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 1)):
        found.append(cv2.imencode(".jpg", rgb, option)[1].tobytes())
    found.append(cv2.imencode(".jpg", rgb[..., 0])[1].tobytes())
    mark, labels = files.exif(6), random.integers(0, 3, (24, 16), dtype=np.uint8)
    found += [files.png(rgb, exif=mark), files.jpeg(rgb, exif=mark) + bytes(40)]
    for options in ({}, {"transparency": 1}, {"bits": 2}):
        found.append(files.palette_png(labels, [0, 0, 0, 200, 30, 0, 9, 9, 9], **options))
    return [*found, files.png(rgb[..., :2], "LA"), files.png(labels.astype(np.uint16) * 300)]


def read_frames(folder: Path) -> Read:
    """As ``prepare`` reads images."""
    from core.video.images import looks_like_silhouette, read_picture
    from core.video.masks import MaskReader
    from core.video.orientation import turn, turned_shape

    def read(path: Path) -> str | None:
        first = read_picture(path, grey=False)
        grey = read_picture(path, grey=True)
        looks_like_silhouette(path)
        mask = turn(MaskReader([grey], scene=False).read(grey)[0], grey.mark)
        shape = first.pixels.shape
        if len(shape) != 3 or shape[2] != 3 or mask.shape != turned_shape(shape, first.mark):
            return f"shapes {shape} and {mask.shape}"
        return None

    return read


def video_seeds(folder: Path) -> list[bytes]:
    """Three frames in some containers and codecs."""
    import av

    found = []
    kinds = (
        ("avi", "ffv1", "bgr0"),
        ("avi", "mpeg4", "yuv420p"),
        ("mp4", "mpeg4", "yuv420p"),
        ("matroska", "mjpeg", "yuvj420p"),
        ("avi", "mjpeg", "yuvj420p"),
    )
    for number, (container, codec, pixels) in enumerate(kinds):
        path = folder / f"{number}.video"
        with av.open(str(path), "w", format=container) as file:
            stream = file.add_stream(codec, rate=25)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = 32, 48, pixels
            for frame in range(3):
                image = np.full((48, 32, 3), 60 * frame, np.uint8)
                image[10:30, 4 + 4 * frame : 20] = 200
                file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            file.mux(stream.encode())
        found.append(path.read_bytes())
    return found


def read_video(folder: Path) -> Read:
    """As ``prepare`` reads videos; of those that declare many frames the first hundred."""
    from core.video.decode import Video

    def read(path: Path) -> str | None:
        video = Video(path)
        for frame in video.frames(range(min(len(video), 100))):
            if not isinstance(frame, FrameFault) and (frame.ndim != 3 or frame.shape[2] != 3):
                return f"a frame of shape {frame.shape}"
        return None

    return read


def store_seeds(folder: Path) -> list[bytes]:
    """The three files of a store that are read on opening, in one."""
    from tests.fakes.stores import write_store

    write_store(folder / "store", lengths=(2,) * 8)
    names = ("store.json", "index.json", "plan.json", "shard-00000.json", "left-out.json")
    return [json.dumps({n: json.loads((folder / "store" / n).read_text()) for n in names}).encode()]


def read_store(folder: Path) -> Read:
    """As every verb opens a store; the index's hash is made right, as a forger would."""
    from pydantic import BaseModel

    from core.errors import StoreError
    from core.storage.layout import LeftOutFile, Plan, ShardFile, read_json
    from core.storage.store import Store

    kinds: dict[str, type[BaseModel]] = {
        "plan.json": Plan,
        "shard-00000.json": ShardFile,
        "left-out.json": LeftOutFile,
    }

    def read(path: Path) -> str | None:
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            content = {}
        for name, part in content.items() if isinstance(content, dict) else ():
            if name in ("store.json", "index.json", *kinds):
                (folder / name).write_text(json.dumps(part))
        index = folder / "index.json"
        if isinstance(content, dict) and isinstance(content.get("store.json"), dict):
            told = {**content["store.json"]}
            if "index" in told and index.is_file():
                told["index"] = hashlib.sha256(index.read_bytes()).hexdigest()
            (folder / "store.json").write_text(json.dumps(told))
        for name, kind in kinds.items():
            _may_refuse(partial(read_json, folder / name, kind, "Mend it."))
        opened = Store.open(folder)
        try:
            for at in range(min(len(opened), 3)):
                opened.read(at, [0])
        except StoreError:
            return None  # there is no shard
        finally:
            opened.close()
        return "frames without a shard"

    return read


def run_seeds(folder: Path) -> list[bytes]:
    """A run's description."""
    told = {
        "format": 1,
        "version": "0.1",
        "dataset": "ccpg",
        "preset": "tiny",
        "number": 1,
        "created": "2026-01-01T00:00:00+00:00",
        "key": "x",
        "store": "y",
    }
    return [json.dumps(told).encode()]


def read_run(folder: Path) -> Read:
    """As every verb lists runs."""
    from core.config import dump_config, resolve_config
    from core.runs.run import find_run, list_runs

    run = folder / "runs" / "one"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(dump_config(resolve_config("tiny")))

    def read(path: Path) -> str | None:
        path.replace(run / "run.json")
        list_runs(run.parent)
        found = find_run(run.parent, name=None, dataset=None)
        assert isinstance(found.dataset, str)
        return None

    return read


def torch_seeds(folder: Path) -> list[bytes]:
    """Tensors of several types by torch.save: bare, and beside a schedule."""
    import torch

    tensors = {"a.weight": torch.randn(2, 3).t(), "a.count": torch.tensor(3), "b": torch.ones(4)}
    contents = ({"model": tensors, "scheduler": {"milestones": [1], "rate": 0.1}}, tensors)
    found = []
    for content in contents:
        file = io.BytesIO()
        torch.save(content, file)
        found.append(file.getvalue())
    return found


def read_torch(folder: Path) -> Read:
    """As ``lmgait import-weights`` reads."""
    from core.imports.torch_file import read_torch_file

    def read(path: Path) -> str | None:
        tensors = read_torch_file(path).tensors
        finite = all(bool(value.isfinite().all()) for value in tensors.values())
        # Tensors that share their numbers take the memory of one.
        memory = [value.untyped_storage() for value in tensors.values()]
        size = sum({one.data_ptr(): one.nbytes() for one in memory}.values())
        return None if finite and size <= path.stat().st_size else "not finite, or too large"

    return read


_ALL = (
    Target("pickle", ".pkl", "pickle", pickle_seeds, read_arrays),
    Target("npy", ".npy", "npy", npy_seeds, read_arrays),
    Target("npz", ".npz", "zip", npz_seeds, read_embeddings_file),
    Target("h5", ".h5", "hdf5", h5_seeds, read_embeddings_file),
    Target("h5-inside", ".h5", "hdf5", h5_seeds, read_hdf5_inside, ("crashed", "hung", "memory")),
    *(
        Target(f"shard-{codec}", ".h5", "", shard_seeds(codec), read_shard(codec))
        for codec in ("lossless", "compact", "jpeg")
    ),
    *(
        Target(f"forged-{codec}", ".h5", "hdf5", shard_seeds(codec), read_shard(codec, forged=True))
        for codec in ("compact", "jpeg")
    ),
    Target("shard-aligned", ".h5", "", aligned_seeds, read_aligned),
    Target("shard-streams", ".h5", "", stream_seeds, read_streams),
    *(
        Target(
            f"pose{ending}",
            ending,
            form,
            partial(pose_seeds, ending),
            partial(read_pose_files, ending),
        )
        for ending, form in ((".pkl", "pickle"), (".json", "json"), (".csv", ""))
    ),
    Target("features", ".h5", "", feature_seeds, read_features),
    Target("silhouettes", ".h5", "", silhouette_seeds, read_silhouettes),
    Target("checkpoint", ".safetensors", "tensors", tensor_seeds, read_checkpoint),
    Target("torch", ".pt", "torch", torch_seeds, read_torch),
    Target("image", ".png", "image", image_seeds, read_frames),
    Target("video", ".avi", "video", video_seeds, read_video, ("crashed", "memory")),
    Target("store", ".txt", "json", store_seeds, read_store),
    Target("run", ".txt", "json", run_seeds, read_run),
)
TARGETS = {target.name: target for target in _ALL}
