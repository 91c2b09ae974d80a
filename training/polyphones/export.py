"""Writes a trained network as tensors.bin and header.json, which pack.mjs packs for src/text/zh/polyphone-model.ts.

Matrices become 8-bit integers with one scale a row; the biases of the two LSTM inputs are added.
"""

import json

import numpy as np


def write_model(out, weights, header):
    tensors = {}
    add_matrix(tensors, "embedding", weights["embedding.weight"])
    for direction in ("forward", "backward"):
        add_matrix(tensors, f"{direction}Input", weights[f"{direction}_lstm.weight_ih_l0"])
        add_matrix(tensors, f"{direction}Recurrent", weights[f"{direction}_lstm.weight_hh_l0"])
        tensors[f"{direction}Bias"] = weights[f"{direction}_lstm.bias_ih_l0"] + weights[f"{direction}_lstm.bias_hh_l0"]
    add_matrix(tensors, "hidden", weights["hidden.weight"])
    tensors["hiddenBias"] = weights["hidden.bias"]
    # A row for each reading of each character, in the order of the characters.
    known = {character: header["candidates"].get(character, ()) for character in header["characters"]}
    rows = sum(map(len, known.values()))
    add_matrix(tensors, "output", weights["output.weight"][:rows])
    tensors["outputBias"] = weights["output_bias.weight"][:rows, 0]
    out.mkdir(parents=True, exist_ok=True)
    layout = []
    with open(out / "tensors.bin", "wb") as file:
        for name, value in tensors.items():
            layout.append(dict(name=name, type=str(value.dtype), length=int(value.size)))
            file.write(np.ascontiguousarray(value).tobytes())
    written = dict(
        characters=header["characters"],
        readings={character: readings for character, readings in known.items() if readings},
        layout=layout,
    )
    (out / "header.json").write_text(json.dumps(written, ensure_ascii=False))


def add_matrix(tensors, name, value):
    scale = np.maximum(np.abs(value).max(axis=1), 1e-8) / 127
    tensors[name] = np.round(value / scale[:, None]).astype(np.int8)
    tensors[f"{name}Scale"] = scale.astype(np.float32)
