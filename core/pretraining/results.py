"""Results of a pre-training: two encoders that any configuration can name, and a card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from core.errors import CheckpointError
from core.models.backbones.image import ImageEncoder
from core.models.backbones.loading import SEED, load_image_encoder, load_text_encoder
from core.models.backbones.saving import save_encoder
from core.models.backbones.sizes import DINOV2, size_of
from core.models.backbones.weight_files import IMAGE_PART, PROJECTION_FILE, TEXT_PART
from core.models.lmgait.projection import PROJECTION_WEIGHT
from core.models.lmgait.text import TextEncoder
from core.pretraining.measure import Metrics
from core.pretraining.model import Pretraining, image_settings, text_settings
from core.pretraining.recipe import Recipe
from core.pretraining.scenes import HEIGHT, ROWS, WIDTH
from core.system.files import write_text
from core.training.checkpoint import load_tensors, save_tensors

CARD = "README.md"
_TABLE = "embeddings.token_embedding.weight"


def save_encoders(folder: Path, model: Pretraining, recipe: Recipe) -> int:
    """Write both encoders, and the projection that the text was trained with.

    Args:
        folder: Gets ``image/`` and ``text/``, as ``model.image.weights`` and
            ``model.text.weights`` take them, and ``projection.safetensors``.
        model: Trained.
        recipe: Of its training.

    Returns:
        Bytes of both encoders.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    tower = cast(Any, model.text.frozen.tower)
    count = save_encoder(folder / IMAGE_PART, model.image.encoder)
    own = {n: v for n, v in tower.state_dict().items() if "token_embedding" not in n}
    count += save_encoder(folder / TEXT_PART, tower, {**own, _TABLE: model.word_table()})
    header = {"kind": "projection", "recipe": recipe.model_dump(mode="json")}
    weight = model.text.project.weight.detach().half()
    save_tensors(folder / PROJECTION_FILE, {PROJECTION_WEIGHT: weight}, header)
    return count


def load_encoders(folder: Path, recipe: Recipe) -> tuple[ImageEncoder, TextEncoder]:
    """Load the files of :func:`save_encoders` as any configuration does.

    Raises:
        WeightsError, CheckpointError: a file is missing or damaged, or of another size.
    """
    images = image_settings(recipe.image, str(folder / IMAGE_PART))
    image = ImageEncoder(load_image_encoder(images), images.layers, HEIGHT, WIDTH)
    tower = load_text_encoder(text_settings(recipe.text, str(folder / TEXT_PART)))
    text = TextEncoder(tower, image.channels, "off", 1, "learned")
    weight = load_tensors(folder / PROJECTION_FILE).tensor(PROJECTION_WEIGHT)
    if weight.shape != text.project.weight.shape:
        raise CheckpointError(
            "The projection does not fit the encoders beside it",
            where=folder / PROJECTION_FILE,
            next_step="Delete the folder and run the same command again.",
        )
    text.project.weight.data.copy_(weight)
    return image, text


def encoders_at_start(recipe: Recipe) -> tuple[ImageEncoder, TextEncoder]:
    """The encoders that the training began with."""
    model = Pretraining(recipe)
    tower = load_text_encoder(text_settings(recipe.text, SEED, recipe.seed))
    text = TextEncoder(tower, model.image.channels, "off", 1, "learned")
    text.project.load_state_dict(model.text.project.state_dict())
    return model.image, text


def write_card(
    folder: Path, recipe: Recipe, metrics: Metrics, start: Metrics, losses: Mapping[str, float]
) -> None:
    """Write the model card: description, training and measured quality, in Markdown."""
    layers = ",".join(map(str, image_settings(recipe.image, IMAGE_PART).layers))
    rows = [
        ("Silhouette IoU, linear probe", metrics.linear_iou, start.linear_iou),
        ("Silhouette IoU at 64x32, LMGait's decoder", metrics.decoder_iou, start.decoder_iou),
        ("Parts labelled correctly, share of cells", metrics.part_accuracy, start.part_accuracy),
        ("Parts labelled correctly, mean over parts", metrics.part_recall, start.part_recall),
    ]
    table = [f"| {name} | {own:.3f} | {other:.3f} |" for name, own, other in rows]
    looks = [
        f"| `{name}` | {share:.3f} | {start.limb_share[name]:.3f} | "
        f"{metrics.body_share[name]:.3f} | {metrics.on_limbs[name]:.3f} | "
        f"{metrics.on_rest[name]:.3f} | {metrics.on_surroundings[name]:.3f} |"
        for name, share in metrics.limb_share.items()
    ]
    text = _CARD.format(
        image=recipe.image,
        text=recipe.text,
        layers=layers,
        pictures=recipe.pictures,
        upsample=ROWS * size_of(DINOV2, recipe.image, "--image").patch // HEIGHT,
        steps=recipe.steps,
        batch=recipe.batch,
        seed=recipe.seed,
        table="\n".join(table),
        looks="\n".join(looks),
        losses=", ".join(f"{n} {v:.3f}" for n, v in losses.items()),
    )
    write_text(folder / CARD, text)


_CARD = """# Encoders of rendered people

An image encoder of DINOv2's architecture (`{image}`) and a text tower of CLIP's (`{text}`, with
CLIP's vocabulary), trained from nothing on rendered pictures and on sentences about them. No real
person, no real picture and no text of the web was used. Made by `lmgait pretrain-encoders`.

Use them with

```
--set model.image.architecture={image} --set model.image.weights=FOLDER/image
--set 'model.image.layers=[{layers}]' --set model.image.height=128 --set model.image.width=64
--set model.text.architecture={text} --set model.text.weights=FOLDER/text
--set model.text.projection=pretrained
--set model.representation.upsample={upsample}
--set warmup.image_encoder=false
```

## Training

{pictures:,} pictures, {steps:,} steps of {batch}, seed {seed}. Pictures: bodies, postures, clothes,
loads, light, cameras, blur, noise, compression and surroundings drawn at random; other people and
things hide some. Goals: the label and the depth of each cell, which words of a sentence a patch
looks at, and which regions a sentence names. Last losses: {losses}.

## Measured

On walkers of the project's own renderer, none of whom, and none of whose surroundings, was in the
training. Probes are fitted on half of these walkers and scored on the others. Beside it the same
encoders before training, as their seed drew them.

| | trained | from the seed |
|---|---:|---:|
{table}

Where the sentences look. The share is the attention of a sentence's words on a patch of arms or
legs, over that and the one on a patch of the surroundings: 0.5 means that both are equal, 0.667
twice as much on arms and legs. Beside it the same with a patch of head or trunk in place of the
surroundings. Then the attention of all but the begin of text on the three.

| Prompt | limbs | from the seed | beside the trunk | on limbs | on trunk | around |
|---|---:|---:|---:|---:|---:|---:|
{looks}

## Limits

Trained and measured on rendered pictures alone: how well they do on real ones is not known. They
tell a person's shape and parts, and nothing of who it is. Words that the training's sentences do
not have stand for a neutral word.
"""
