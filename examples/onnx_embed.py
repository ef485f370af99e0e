"""Embed walkers with an exported model: needs onnxruntime and numpy, nothing of lmgait.

python examples/onnx_embed.py model.onnx a.npy b.npy
Each .npy holds one sequence: RGB frames uint8 [length, 256, 128, 3], the person filling the height.
"""

import sys

import numpy as np
import onnxruntime

model, *files = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
found = []
for file in files:
    frames = np.load(file).transpose(0, 3, 1, 2)[None]  # [1, length, 3, 256, 128]
    found.append(session.run(["embedding"], {"frames": frames})[0][0])  # [channels, strips]
for number, file in enumerate(files):
    # Euclidean distance per strip, mean over strips: the smaller, the more alike two walks are.
    distances = [np.linalg.norm(found[number] - other, axis=0).mean() for other in found]
    print(file, *(f"{distance:.4f}" for distance in distances))
