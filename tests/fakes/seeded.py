"""Settings over the preset ``tiny`` of a smaller LMGait, whose encoders come from seeds."""

SEEDED = (
    "model.image.architecture=tiny",
    "model.image.weights=seed",
    "model.image.layers=[1,2,3]",
    "model.text.architecture=tiny",
    "model.text.weights=seed",
    "model.text.projection=drawn",
    "model.representation.upsample=2",
    "model.representation.pool=1",
    "warmup.image_encoder=true",
)
