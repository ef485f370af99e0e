"""Bad inputs: the damage, the command, and the expected exit code and message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from core.errors import EXIT_DATA, EXIT_OUTPUT, EXIT_TRAINING, EXIT_USAGE, EXIT_WEIGHTS
from tests.lmgait_cli import bad_home as bad
from tests.lmgait_cli.bad_home import MODEL, RUN, SHARD, STATE, STORE, TEXT, Spoil

EVALUATE = "evaluate --dataset casiab --embeddings"
SHOW = "config show --preset tiny"
IMPORT = "import-weights x.pt --dataset casiab --preset tiny"
SMALL = "train --dataset casiab --config small.yaml"


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        words: What is typed.
        code: Exit code.
        message: Part of the message (of the report file if ``code`` is 0).
        spoil: Damage done to the valid workspace first.
        report: The report on skipped data, if the command continues without them.
    """

    words: str
    code: int
    message: str
    spoil: Spoil = lambda home: None
    report: str | None = None


def usage(words: str, message: str, spoil: Spoil = lambda home: None) -> Case:
    """An error in arguments, names or settings."""
    return Case(words, EXIT_USAGE, message, spoil)


def data(words: str, message: str, spoil: Spoil = lambda home: None) -> Case:
    """Missing or malformed input."""
    return Case(words, EXIT_DATA, message, spoil)


def weights(message: str, spoil: Spoil, words: str = "embed out.npz --run first") -> Case:
    """A checkpoint or weights that cannot be used."""
    return Case(words, EXIT_WEIGHTS, message, spoil)


def output(words: str, message: str, spoil: Spoil = lambda home: None) -> Case:
    """An output that cannot be written."""
    return Case(words, EXIT_OUTPUT, message, spoil)


def setting(text: str, message: str) -> Case:
    """A fault in ``--set``."""
    return usage(f"{SHOW} --set {text}", message)


def config(content: str | bytes, message: str) -> Case:
    """A fault in a ``--config`` file."""
    return usage(f"{SHOW} --config c.yaml", message, bad.write("c.yaml", content))


def own(message: str, **new: Any) -> Case:
    """A fault in the user's own manifest."""
    return data("prepare mine.yaml raw/ccpg", message, bad.manifest(**new))


def embeddings(message: str, **new: Any) -> Case:
    """A fault in an .npz of embeddings."""
    return data(f"{EVALUATE} bad.npz", message, bad.npz("bad.npz", **new))


def left_out(dataset: str, folder: str, message: str, spoil: Spoil) -> Case:
    """Raw data that are partly unusable; the rest is prepared."""
    words = f"prepare {dataset} raw/{folder} --workspace new --workers 0"
    return Case(words, 0, message, spoil, f"new/stores/{dataset}/left-out.json")


def unusable(dataset: str, folder: str, message: str, spoil: Spoil) -> Case:
    """Raw data that are entirely unusable."""
    words = f"prepare {dataset} raw/{folder} --workspace new --workers 0"
    return Case(words, EXIT_DATA, message, spoil)


FIRST_PNG = "raw/ccpg/CCPG_D_MASK_FACE_SHOE/000/U0_D0/01_0/00001.jpg"
ALIASES = "a0: &a0 [x]\n" + "\n".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)
)
MERGES = "a0: &a0 {k: 1}\n" + "\n".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 10)
)

ARGUMENTS = {
    "unknown verb": usage("nonsense", "No such command 'nonsense'"),
    "misspelt verb": usage("trian", "Did you mean 'train'"),
    "misspelt verb of a group": usage("config shwo", "Did you mean 'show'"),
    "misspelt option": usage("train --datset casiab", "--dataset"),
    "argument as an option": usage("export --run first", "RUN is an argument: write it without"),
    "another one": usage(
        "prepare ccpg --source raw/ccpg", "source is an argument: write it without"
    ),
    "missing argument": usage("prepare ccpg", "Missing argument"),
    "argument too many": usage("verify ccpg again", "unexpected extra argument"),
    "option without its value": usage("train --dataset", "requires an argument"),
    "number that is none": usage("evaluate --bootstrap many", "--bootstrap"),
    "number out of range": usage("evaluate --bootstrap -1", "--bootstrap"),
    "far too many resamples": usage("evaluate --bootstrap 10000000000", "--bootstrap"),
    "negative seed of resamples": usage("evaluate --seed -1 --bootstrap 9", "--seed"),
    "no worker": usage("prepare ccpg raw/ccpg --workers -1", "--workers"),
    "unknown stream": usage("prepare ccpg raw/ccpg --without masks", "no stream 'masks'"),
    "scenes without silhouettes": usage(
        "prepare casiab raw/casiab --without silhouettes", "cut by the silhouettes' boxes"
    ),
    "nothing left": usage(
        "prepare ccpg raw/ccpg --without rgb,silhouettes,pose", "nothing is left"
    ),
    "flow of no frames": usage(
        "prepare ccpg raw/ccpg --flow --without rgb", "there are no rgb (--flow)"
    ),
    "poses of none": usage("synthesize casiab_star out --poses", "delivered without poses"),
    "parsing of none": usage("synthesize oumvlp out --parsing", "no parsing of walkers"),
    "unknown form of walkers": usage("synthesize ccpg out --form pickels", "no form `pickels`"),
    "unknown silhouettes": usage(
        "config show --model gaitset --set model.input.silhouettes=cutt", "'cut' or 'aligned'"
    ),
    "unknown codec": usage("prepare ccpg raw/ccpg --codec zip", "lossless"),
    "misspelt dataset": usage("prepare ccpgg raw/ccpg", "Did you mean `ccpg`"),
    "dataset that leaves its folder": usage("train --dataset ../../x", "no dataset `../../x`"),
    "dataset that is a path": usage("train --dataset /etc/passwd", "no dataset `/etc/passwd`"),
    "unknown form": usage("prepare ccpg raw/ccpg --form nope", "no form 'nope'"),
    "part beyond the last": usage("prepare ccpg raw/ccpg --part 5/3", "no part 5 of 3"),
    "part zero": usage("prepare ccpg raw/ccpg --part 0/2", "no part 0 of 2"),
    "part that is none": usage("prepare ccpg raw/ccpg --part half", "not of the form i/n"),
    "flags that exclude each other": usage("train --resume --fresh", "exclude each other"),
    "nothing to resume": usage(f"{SMALL} --resume --set seed=9", "no run for casiab with these"),
    "misspelt preset": usage("train --preset papr", "Did you mean `paper`"),
    "preset that leaves its folder": usage("train --preset ../presets/tiny", "no preset"),
    "misspelt ablation": usage("train --ablation no-txt", "Did you mean `no-text`"),
    "run that is not there": usage("evaluate --run gone", "no run `gone`"),
    "run that leaves its folder": usage("evaluate --run ../../x", "no run `../../x`"),
    "run named by a path": usage(f"{SMALL} --fresh --name ../../x", "not a valid run name"),
    "run of a name that is taken": usage(f"{SMALL} --set seed=9 --name first", "exists already"),
    "unknown metric": usage(f"{EVALUATE} good.npz --metric manhattan", "manhattan"),
    "unknown protocol": usage(f"{EVALUATE} good.npz --probe-gallery singleview", "single_view"),
    "embeddings of no dataset": usage("evaluate --embeddings good.npz", "--dataset"),
    "embeddings and a run": usage(f"{EVALUATE} good.npz --run first", "no --run"),
    "ending of no embeddings": usage("embed out.txt --run first", ".npz or .h5"),
    "embeddings without an ending": usage(f"{EVALUATE} good", ".npz or .h5"),
    "ending of no model": usage("export --out model.txt", ".onnx"),
    "checkpoint of no file": weights(
        "Cannot read the file", lambda home: None, f"{IMPORT} --model gaitbase"
    ),
    "checkpoint of no tensors": weights(
        "not written by torch.save", bad.write("x.pt", b"PKx"), f"{IMPORT} --model gaitset"
    ),
    "checkpoint of no family that has any": usage(
        f"{IMPORT} --model lmgait", "not read for LMGait"
    ),
    "ending of no table": usage(f"{EVALUATE} good.npz --out t.html", ".csv, .md or .tex"),
    "unknown table of the paper": usage("ablate --dataset casiab --table 9", "Table"),
    "nothing to ablate": usage("ablate --dataset casiab", "Nothing to run"),
    "settings that undo the ablation": usage(
        "ablate --dataset casiab --ablation no-pte --set model.temporal.pte=true", "undo"
    ),
    "ablation of parts that a model lacks": usage(
        "ablate --dataset casiab --model gaitbase --ablation no-pte", "GaitBase lacks"
    ),
    "model without a row": usage(
        "ablate --dataset casiab --table 1 --model gaitbas", "no row of the model `gaitbas`"
    ),
    "table that tests where it trains": usage(
        "ablate --dataset casiab --table 1 --test casiab", "Tables 1 and 2"
    ),
    "settings of another model": usage(
        "ablate --dataset casiab --table 1 --set model.family=gaitset", "for the model `gaitset`"
    ),
    "settings of a run": usage("config diff first nothing", "no preset, ablation, YAML file"),
    "encoders of an unknown size": usage("pretrain-encoders out --image tinny", "tiny-patch"),
    "encoders with patches that do not fit": usage(
        "pretrain-encoders out --image small", "Patches of 14"
    ),
    "encoders for a time and for steps": usage(
        "pretrain-encoders out --steps 1 --minutes 1", "exclude each other"
    ),
    "encoders of an endless seed": usage(
        "pretrain-encoders out --steps 1 --seed 9223372036854775808", "--seed"
    ),
    "walkers of an unknown dataset": usage("synthesize ccpgg out", "Did you mean `ccpg`"),
    "walkers that stand still": usage("synthesize ccpg out --frames 1", "at least 2"),
    "walkers of a negative seed": usage("synthesize ccpg out --seed -1", "--seed"),
    "walkers seen from nowhere": usage("synthesize casiab out --views 999", "no view `999`"),
    "more walkers than official": usage("synthesize ccpg out --test-subjects 9999", "Ask for"),
    "no walkers": usage(
        "synthesize ccpg out --test-subjects 0 --train-subjects 0", "No subject is requested"
    ),
    "endless walk": usage("synthesize ccpg out --frames 1000000000", "at most"),
    "parts that are not there": usage("merge ccpg", "no parts of ccpg"),
}

SETTINGS = {
    "no equals sign": setting("train.lr", "--set key.path=value"),
    "unknown key": setting("train.iteratoins=4", "did you mean `iterations`"),
    "unknown section": setting("modle.fusion=add", "did you mean `model`"),
    "wrong type": setting("seed=x", "seed"),
    "section for a value": setting("train=5", "train"),
    "value for a section": setting("seed.x=5", "seed"),
    "not a number": setting("train.lr=.nan", "train.lr"),
    "infinite": setting("train.lr=.inf", "train.lr"),
    "negative": setting("losses.margin=-1", "losses.margin"),
    "far too large": setting("train.iterations=1" + 30 * "0", "train.iterations"),
    "seed too large": setting("seed=1" + 30 * "0", "seed"),
    "seed too small": setting("seed=-1", "seed"),
    "number of 5000 digits": setting("seed=" + 5000 * "1", "Cannot read the value"),
    "impossible date": setting("seed=2001-99-99", "Cannot read the value"),
    "unclosed": setting("seed=[1", "Cannot read the value"),
    "tag": setting("seed=!!python/object/apply:os.getcwd[]", "Cannot read the value"),
    "nested without end": setting("seed=" + 3000 * "[", "Cannot read the value"),
    "path without end": setting("a" + 2000 * ".a" + "=1", "--set key.path=value"),
    "falling milestones": setting("train.milestones=[5,3]", "milestones must rise"),
    "no multiple of the patch": setting("model.image.height=100", "multiple of"),
    "strips that do not divide": setting("model.gait.strips=7", "do not divide"),
    "image of a mile": setting("model.image.height=100000000", "model.image.height"),
    "model of terabytes": setting("model.gait.embedding=100000000000", "model.gait.embedding"),
    "misspelt architecture": setting("model.image.architecture=smal", "Did you mean `small`"),
    "block that is not there": setting("model.image.layers=[99]", "Blocks are numbered"),
    "nothing of MTCM": setting(
        "model.temporal.pte=no --set model.temporal.conv3d=no --set model.temporal.difference=no",
        "nothing of MTCM is left",
    ),
}

CONFIGS = {
    "missing": usage(f"{SHOW} --config gone.yaml", "No such file"),
    "folder": usage(f"{SHOW} --config empty", "Is a directory"),
    "bytes": config(b"\xff\xfe\x00\x01", "UTF-8"),
    "list": config("- 1", "Expected keys"),
    "key twice": config("seed: 1\nseed: 2", "given twice"),
    "tag": config("seed: !!python/object/apply:os.getcwd []", "Not readable as YAML"),
    "aliases that explode": config(ALIASES, "unfold to more than"),
    "merges that explode": config(MERGES, "merge keys unfold"),
    "alias of itself": config("seed: &x [*x]", "holds itself"),
    "megabytes": config("# " + "x" * 2**20, "larger than 1 MiB"),
    "nested without end": config("[" * 5000, "nested too deeply"),
    "5000 unknown keys": config("\n".join(f"k{n}: 1" for n in range(5000)), "more"),
    "key that is no text": config("? [1, 2]\n: 3", "Not readable as YAML"),
    "key that is a number": config("1: 2", "Keys should be strings"),
    "impossible date": config("seed: 2001-99-99", "Not readable as YAML"),
    "tabs": config("seed:\n\t- 1", "Not readable as YAML"),
}

SOURCES = {
    "missing": data("prepare ccpg gone", "No such folder"),
    "empty": data("prepare ccpg empty", "is empty"),
    "file": data("prepare ccpg text.txt", "a file, not a folder"),
    "of another dataset": data("prepare sustech1k raw/ccpg", "no sustech1k data"),
    "one archive of two": data(
        "prepare ccpg raw/ccpg", "All images found are RGB frames", bad.gone("raw/ccpg/CCPG_G_SIL")
    ),
    "texts for images": unusable(
        "ccpg", "ccpg", "No sequence", bad.every("raw/ccpg/CCPG_D*/**/*.jpg", b"text")
    ),
    "text for one image": left_out(
        "ccpg", "ccpg", "not a JPEG or PNG", bad.write(FIRST_PNG, "text")
    ),
    "no bytes for one image": left_out("ccpg", "ccpg", "truncated", bad.write(FIRST_PNG, "")),
    "half an image": left_out("ccpg", "ccpg", "truncated image", bad.cut(FIRST_PNG)),
    "image bomb": left_out(
        "ccpg", "ccpg", "larger than the limit", bad.write(FIRST_PNG, bad.png(50_000, 50_000))
    ),
    "image that unpacks hugely": left_out(
        "ccpg", "ccpg", "larger than the limit", bad.write(FIRST_PNG, bad.png(9000, 9000, 9000))
    ),
    "image without height": left_out(
        "ccpg", "ccpg", "not a JPEG or PNG", bad.write(FIRST_PNG, bad.png(5, 0))
    ),
    "image that is black all over": left_out(
        "ccpg", "ccpg", "black or white all over", bad.write(FIRST_PNG, bad.png(90, 200, 200))
    ),
    "image of one pixel": left_out(
        "ccpg", "ccpg", "silhouette of another size", bad.write(FIRST_PNG, bad.png(1, 1, 1))
    ),
    "texts for videos": unusable(
        "casiab", "casiab", "No sequence", bad.every("raw/casiab/**/*.avi", b"text")
    ),
    "text for one video": left_out(
        "casiab", "casiab", "broken video", bad.write("raw/casiab/videos/001-nm-01-000.avi", "x")
    ),
    "half a video": left_out(
        "casiab", "casiab", "video", bad.cut("raw/casiab/videos/001-nm-01-000.avi", 0.01)
    ),
    "hostile pickles": unusable(
        "sustech1k",
        "sustech",
        "No sequence",
        bad.every("raw/sustech/**/*.pkl", bad.HOSTILE_PICKLE),
    ),
    "one hostile pickle": left_out(
        "sustech1k",
        "sustech",
        "something else than arrays",
        bad.write("raw/sustech/0000/00-nm/000/05-000-Camera-RGB_raw.pkl", bad.HOSTILE_PICKLE),
    ),
    "text for one pickle": left_out(
        "sustech1k",
        "sustech",
        "broken array",
        bad.write("raw/sustech/0000/00-nm/000/05-000-Camera-RGB_raw.pkl", "text"),
    ),
}

MANIFESTS = {
    "missing": data("prepare gone.yaml raw/ccpg", "No such file"),
    "text": data("prepare m.yaml raw/ccpg", "holds no keys", bad.write("m.yaml", "text")),
    "tags": data(
        "prepare m.yaml raw/ccpg", "Not plain YAML", bad.write("m.yaml", "a: !!python/name:os.abc")
    ),
    "unknown key": own("titel: unknown key; did you mean `title`", titel="x"),
    "another format": own("format", format=2),
    "no frames": own("frames", frames=0),
    "subject on both sides": own("also in train", subjects__test=["a"]),
    "id that leaves its folder": own("path separator", subjects__train=["../../x", "b"]),
    "id that is a path": own("path separator", subjects__train=["/etc/passwd", "b"]),
    "id that is a number": own("put it in quotes", subjects__train=[1, 2]),
    "name that leaves its folder": own("name", name="../../x"),
    "pattern that leaves its folder": own("stay below", forms__0__rgb={"path": "../{frame}.jpg"}),
    "pattern of no known ending": own("ends in none", forms__0__rgb={"path": "{subject}.exe"}),
    "type that is not there": own(
        "no type 'fsat'",
        protocols__single__conditions={"All": {"probe": "fsat", "gallery": "slow"}},
    ),
    "of other subjects": data(
        f"{EVALUATE} good.npz --probe-gallery mine.yaml", "is of a test subject of Mine"
    ),
}

EMBEDDINGS = {
    "missing": data(f"{EVALUATE} gone.npz", "No such file"),
    "folder": data(f"{EVALUATE} d.npz", "No such file", lambda home: (home / "d.npz").mkdir()),
    "no bytes": data(f"{EVALUATE} bad.npz", "damaged", bad.write("bad.npz", "")),
    "text": data(f"{EVALUATE} bad.npz", "damaged", bad.write("bad.npz", "text")),
    "text as HDF5": data(f"{EVALUATE} bad.h5", "damaged", bad.write("bad.h5", "text")),
    "half a file": data(f"{EVALUATE} good.npz", "damaged", bad.cut("good.npz")),
    "half of HDF5": data(
        f"{EVALUATE} good.h5", "damaged", bad.all_of(bad.h5(), bad.cut("good.h5"))
    ),
    "doubles": embeddings("not float32", embeddings=np.zeros((8, 4, 2))),
    "one axis": embeddings("not [n, C, P]", embeddings=np.zeros(8, "f4")),
    "nothing in them": embeddings("not [n, C, P]", embeddings=np.zeros((0, 4, 2), "f4")),
    "other counts": embeddings("8 embeddings but 1 labels", labels=np.array(["075"])),
    "NaN": embeddings("NaN or infinite", embeddings=np.full((8, 4, 2), np.nan, "f4")),
    "infinite": embeddings("NaN or infinite", embeddings=np.full((8, 4, 2), np.inf, "f4")),
    "objects": embeddings("Python objects", labels=np.array([None] * 8)),
    "labels that are numbers": embeddings("not n strings", labels=np.arange(8)),
    "labels in a table": embeddings("not n strings", labels=np.full((8, 1), "075")),
    "labels that are no UTF-8": embeddings("not UTF-8", labels=np.array([b"\xff"] * 8)),
    "member missing": embeddings("has no views", views=None),
    "member twice": data(f"{EVALUATE} twice.npz", "twice", bad.twice),
    "nobody tested": embeddings("is of a test subject", labels=np.array(["001"] * 8)),
    "labels that leave the folder": embeddings("test subject", labels=np.array(["../../x"] * 8)),
    "10^12 numbers declared": data(
        f"{EVALUATE} bomb.npz", "more than is read", bad.npz_header("(1000000000000, 4, 2)")
    ),
    "negative shape": data(f"{EVALUATE} bomb.npz", "damaged", bad.npz_header("(-8, 4, 2)")),
    "shape that is no shape": data(f"{EVALUATE} bomb.npz", "damaged", bad.npz_header("'eight'")),
    "10^12 frames declared in HDF5": data(
        f"{EVALUATE} good.h5", "more than is read", bad.h5(embeddings=(10**12, 4, 2))
    ),
    "link to another file": data(
        f"{EVALUATE} good.h5", "has no labels", bad.h5(labels=h5py.ExternalLink("x.h5", "/y"))
    ),
}

STORES = {
    "not prepared": data("train --dataset ccpg", "lmgait prepare"),
    "not a folder": data("verify text.txt", "", bad.write("ws/stores/ccpg", "text")),
    "half of store.json": data("inspect casiab", "damaged", bad.cut(f"{STORE}/store.json")),
    "bytes as store.json": data(
        "inspect casiab", "damaged", bad.write(f"{STORE}/store.json", b"\xff\x00")
    ),
    "another format": data(
        "inspect casiab", "newer format 9", bad.change(f"{STORE}/store.json", format=9)
    ),
    "unknown key": data("inspect casiab", "more", bad.change(f"{STORE}/store.json", more=1)),
    "index changed": data("inspect casiab", "index", bad.change(f"{STORE}/index.json", shards=[])),
    "index missing": data("inspect casiab", "index.json", bad.gone(f"{STORE}/index.json")),
    "shard missing": data("embed out.npz", "missing", bad.gone(SHARD)),
    "half a shard": data("embed out.npz", "damaged", bad.cut(SHARD)),
    "text for a shard": data("embed out.npz", "damaged", bad.write(SHARD, "text")),
    "half a shard verified": data("verify casiab", "1 fault", bad.cut(SHARD)),
    "half a shard trained on": data(f"{SMALL} --fresh", "damaged", bad.cut(SHARD)),
    "plan of text": data(
        "prepare casiab raw/casiab", "damaged", bad.write(f"{STORE}/plan.json", "text")
    ),
    "folder of another dataset": data("prepare casiab raw/ccpg", "it looks like ccpg"),
    "no aligned silhouettes": data(
        "train --dataset casiab --model gaitset --set model.input.silhouettes=aligned",
        "holds no aligned silhouettes",
    ),
    "made from something else": data("prepare casiab raw/casiab", "--replace"),
    "folder of something else": data(
        "prepare ccpg raw/ccpg",
        "does not hold a store",
        bad.write("ws/stores/ccpg/mine.txt", "x"),
    ),
    "parts that are no parts": data("merge casiab empty", "Cannot read the file"),
    "a whole store as a part": data(f"merge casiab {STORE}", "no part of casiab"),
    "manifest that is not there": data(
        "inspect casiab --manifest gone.yaml --no-sheet", "No such file"
    ),
    "partition file that is not there": data(
        "prepare gait3d raw/gait3d",
        "Put Gait3D.json there",
        bad.write("raw/gait3d/2D_Silhouettes/0000/camid0_videoid0/seq0/1.png", "x"),
    ),
    "another dataset, and no partition file": data("prepare gait3d raw/ccpg", "it looks like ccpg"),
    "partition file of something else": data(
        "prepare gait3d raw/ccpg", "not an object of lists", bad.write("raw/ccpg/Gait3D.json", "[]")
    ),
    "partition file without its lists": data(
        "prepare oumvlp raw/ccpg",
        "no list 'TEST_SET'",
        bad.write("raw/ccpg/OUMVLP.json", '{"TRAIN_SET": ["00001"]}'),
    ),
}

WEIGHTS = {
    "no checkpoint": weights("no checkpoint yet", bad.gone(f"{RUN}/checkpoints")),
    "checkpoint without its file": weights("No such file of weights", bad.gone(MODEL)),
    "half a checkpoint": weights("damaged", bad.cut(MODEL)),
    "text for a checkpoint": weights("damaged", bad.write(MODEL, "text")),
    "no bytes": weights("damaged", bad.write(MODEL, "")),
    "header of 2^60 bytes": weights("damaged", bad.write(MODEL, b"\x00" * 7 + b"\x10{}")),
    "foreign weights": weights(
        "not written by lmgait", bad.write(MODEL, b"\x02\x00\x00\x00\x00\x00\x00\x00{}")
    ),
    "another format": weights("format 9", bad.header(MODEL, format=9)),
    "header without configuration": weights("no config", bad.header(MODEL, config=None)),
    "header without fingerprint": weights("damaged", bad.header(MODEL, text_fingerprint=None)),
    "header without step": weights("damaged", bad.header(MODEL, step=None)),
    "header of another encoder": weights(
        "not those that this model was trained with", bad.header(MODEL, image_fingerprint="0")
    ),
    "configuration that is text": weights("config", bad.header(MODEL, config="x")),
    "tensors missing": weights("are missing", bad.tensors(MODEL, lambda t: dict([*t.items()][3:]))),
    "tensors of another shape": weights(
        "do not fit", bad.tensors(MODEL, lambda t: {k: v[..., None].clone() for k, v in t.items()})
    ),
    "text cache of another state": weights(
        "another state of the text", bad.header(TEXT, text_fingerprint="0")
    ),
    "text cache that is none": weights("not a text cache", bad.header(TEXT, kind="else")),
    "text cache without its mark": weights("damaged", bad.header(TEXT, text_fingerprint=None)),
    "text cache of another shape": weights(
        "text cache", bad.tensors(TEXT, lambda t: {"text": t["text"][:, :5].clone()})
    ),
    "text cache of text": weights("damaged", bad.write(TEXT, "text")),
    "run.json of text": weights("description is damaged", bad.write(f"{RUN}/run.json", "text")),
    "run.json of a list": weights("description is damaged", bad.write(f"{RUN}/run.json", "[]")),
    "run.json of bytes": weights("damaged", bad.write(f"{RUN}/run.json", b"\xff\xfe")),
    "run.json with a number of text": weights("damaged", bad.change(f"{RUN}/run.json", number="x")),
    "run of another format": weights("format 9", bad.change(f"{RUN}/run.json", format=9)),
    "configuration of a run missing": weights("No such file", bad.gone(f"{RUN}/config.yaml")),
    "configuration of a run of text": weights(
        "config.yaml", bad.write(f"{RUN}/config.yaml", "seed: x")
    ),
    "training state of text": weights(
        "damaged", bad.all_of(bad.unfinished, bad.write(STATE, "text")), f"{SMALL} --resume"
    ),
    "training state without its step": weights(
        "no step", bad.all_of(bad.unfinished, bad.header(STATE, step=None)), f"{SMALL} --resume"
    ),
    "training state without momentum's place": weights(
        "belongs to no parameter",
        bad.all_of(
            bad.unfinished,
            bad.tensors(STATE, lambda t: {f"{k}x": v for k, v in t.items()}),
        ),
        f"{SMALL} --resume",
    ),
    "training state without random numbers": weights(
        "no tensor random.torch",
        bad.all_of(
            bad.unfinished,
            bad.tensors(STATE, lambda t: {k: v for k, v in t.items() if "random" not in k}),
        ),
        f"{SMALL} --resume",
    ),
    "random numbers of another kind": weights(
        "state of the training is damaged",
        bad.all_of(
            bad.unfinished,
            bad.tensors(STATE, lambda t: {**t, "random.torch": t["random.torch"][:9].clone()}),
        ),
        f"{SMALL} --resume",
    ),
    "warm-up of something else": weights(
        "not a part of it",
        bad.every_warmup,
        f"{SMALL} --fresh",
    ),
    "folder of weights missing": weights(
        "no such folder", lambda home: None, f"{SMALL} --set model.image.weights=./gone"
    ),
    "folder of weights empty": weights(
        "no config.json", lambda home: None, f"{SMALL} --set model.image.weights=empty"
    ),
    "config.json of text": weights(
        "Not readable", bad.write("w/config.json", "text"), f"{SMALL} --set model.image.weights=w"
    ),
    "weights of another size": weights(
        "another architecture",
        bad.write("w/config.json", '{"hidden_size": 5}'),
        f"{SMALL} --set model.image.weights=w",
    ),
    "config.json of weights a pointer": weights(
        "a pointer of Git LFS",
        bad.write("w/config.json", "version https://git-lfs.github.com/spec/v1\nsize 9\n"),
        f"{SMALL} --set model.image.weights=w",
    ),
    "settings of a tower null": weights(
        "another architecture",
        bad.write("w/config.json", '{"text_config": null}'),
        f"{SMALL} --set model.text.weights=w",
    ),
    "weights that are not here": weights(
        "cannot be fetched", lambda home: None, f"{SMALL} --set model.image.weights=nobody/nothing"
    ),
}

OUTPUTS = {
    "result below a file": output(f"{EVALUATE} good.npz --json text.txt/r.json", "text.txt"),
    "result on a folder": output(f"{EVALUATE} good.npz --json empty", "empty"),
    "table on a folder": output(
        f"{EVALUATE} good.npz --out t.md", "t.md", lambda home: (home / "t.md").mkdir()
    ),
    "embeddings below a file": output("embed text.txt/e.npz --run first", "text.txt"),
    "settings below a file": output(f"{SHOW} --json text.txt/c.json", "text.txt"),
    "workspace below a file": output("prepare ccpg raw/ccpg --workspace text.txt/ws", "text.txt"),
    "contact sheet below a file": output("inspect casiab --sheet text.txt/s.png", "text.txt"),
    "encoders below a file": output("pretrain-encoders text.txt/e --steps 1", "text.txt"),
    "encoders on a file": data("pretrain-encoders text.txt --steps 1", "no encoders of ours"),
    "encoders among other things": data("pretrain-encoders raw --steps 1", "no encoders of ours"),
    "encoders with a damaged record": data(
        "pretrain-encoders e --steps 1", "damaged", bad.write("e/pretraining.json", "{")
    ),
    "walkers below a file": output("synthesize ccpg text.txt/w --frames 2", "text.txt"),
    "walkers on a file": data("synthesize ccpg text.txt --frames 2", "holds no walkers"),
    "walkers on other walkers": data(
        "synthesize ccpg w --frames 2", "other walkers", bad.write("w/synthetic.json", "{}")
    ),
    "walkers on a list": data(
        "synthesize ccpg w --frames 2", "walkers", bad.write("w/synthetic.json", "[]")
    ),
}

TRAININGS = {
    "too few identities": Case(
        f"{SMALL} --fresh --set data.identities=9", EXIT_TRAINING, "needs as many training subjects"
    ),
    "nobody to train on": data("train --dataset ccpg --config small.yaml", "lmgait prepare"),
}

CASES: dict[str, Case] = {
    f"{room}: {name}": case
    for room, cases in {
        "arguments": ARGUMENTS,
        "settings": SETTINGS,
        "configuration": CONFIGS,
        "raw data": SOURCES,
        "manifest": MANIFESTS,
        "embeddings": EMBEDDINGS,
        "store": STORES,
        "weights": WEIGHTS,
        "output": OUTPUTS,
        "training": TRAININGS,
    }.items()
    for name, case in cases.items()
}
