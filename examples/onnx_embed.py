"""Embed walkers with an exported model: needs onnxruntime and numpy, nothing of lmgait.

python examples/onnx_embed.py model.onnx a.npy b.npy
Each .npy holds one sequence: RGB frames uint8 [length, 256, 128, 3], the person filling the height,
or silhouettes as the model takes them, uint8 [length, 64, 44].
"""

import sys

import numpy as np
import onnxruntime

model, *files = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
(name,) = (part.name for part in session.get_inputs())  # frames or silhouettes
embeddings = []
for file in files:
    clip = np.load(file)[None]
    clip = clip.transpose(0, 1, 4, 2, 3) if name == "frames" else clip  # colours before rows
    embeddings.append(session.run(["embedding"], {name: clip})[0][0])  # [channels, strips]
for number, file in enumerate(files):
    # Euclidean distance per strip, mean over strips: the smaller, the more alike two walks are.
    distances = [np.linalg.norm(embeddings[number] - other, axis=0).mean() for other in embeddings]
    print(file, *(f"{distance:.4f}" for distance in distances))
