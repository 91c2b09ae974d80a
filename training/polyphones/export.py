"""Writes the polyphone model for src/text/zh/polyphone-model.ts: python export.py FOLDER_OF_g2pM OUT_FOLDER.

The folder is that of the package g2pM 0.1.2.5 (`pip download --no-deps g2pM==0.1.2.5` and unzip). Its network is one
bidirectional LSTM of 32 units a direction over embedded characters, trained by its authors on the CPP dataset (99,264
sentences of Wikipedia, one labelled character each). Matrices become 8-bit integers with one scale a row; the biases of
the two LSTM inputs are added. Writes tensors.bin and header.json, which pack.mjs packs. `evaluate.ts` measures the result.
"""

import json
import pickle
import sys
from pathlib import Path

import numpy as np

SENTENCE_ENDS = ["시", "끝"]  # their names in the model's own table


def main():
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    # The package's own files, checked by pip; unpickled here and never at serving time.
    load = lambda name: pickle.loads((source / name).read_bytes())
    weights = load("np_ckpt.pkl")
    characters = [character for character, _ in sorted(load("char2idx.pkl").items(), key=lambda item: item[1])]
    classes = [name for name, _ in sorted(load("class2idx.pkl").items(), key=lambda item: item[1])]
    readings = load("digest_cedict.pkl")
    candidates = {
        character: [classes.index(reading) for reading in known if reading in classes]
        for character, known in readings.items()
        if len(known) > 1 and len(character) == 1
    }
    write_model(out, weights, characters, classes, candidates)


def write_model(out, weights, characters, classes, candidates):
    tensors = {}
    add_matrix(tensors, "embedding", weights["embedding.weight"])
    for direction, suffix in (("forward", ""), ("backward", "_reverse")):
        add_matrix(tensors, f"{direction}Input", weights[f"lstm.weight_ih_l0{suffix}"])
        add_matrix(tensors, f"{direction}Recurrent", weights[f"lstm.weight_hh_l0{suffix}"])
        tensors[f"{direction}Bias"] = weights[f"lstm.bias_ih_l0{suffix}"] + weights[f"lstm.bias_hh_l0{suffix}"]
    for name, layer in (("hidden", "logit_layer.0"), ("output", "logit_layer.2")):
        add_matrix(tensors, name, weights[f"{layer}.weight"])
        tensors[f"{name}Bias"] = weights[f"{layer}.bias"]
    out.mkdir(parents=True, exist_ok=True)
    layout = []
    with open(out / "tensors.bin", "wb") as file:
        for name, value in tensors.items():
            layout.append(dict(name=name, type=str(value.dtype), length=int(value.size)))
            file.write(value.tobytes())
    header = dict(
        characters=characters,
        ends=[characters.index(end) for end in SENTENCE_ENDS],
        classes=[name.replace("u:", "v") for name in classes],
        candidates={character: known for character, known in candidates.items() if len(known) > 1},
        layout=layout,
    )
    (out / "header.json").write_text(json.dumps(header, ensure_ascii=False))


def add_matrix(tensors, name, value):
    scale = np.maximum(np.abs(value).max(axis=1), 1e-8) / 127
    tensors[name] = np.round(value / scale[:, None]).astype(np.int8)
    tensors[f"{name}Scale"] = scale.astype(np.float32)


if __name__ == "__main__":
    main()
