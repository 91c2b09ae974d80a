"""Writes a trained model for src/text/en/letter-to-sound.ts: python export.py WORKDIR OUT_FILE.

Weights as 8-bit integers with one scale a row, biases as float32; a JSON header says what lies where:
u32 header length, header, then tensors in header order (scales float32, then int8; or float32 alone), all little-endian.
The whole is packed with brotli by pack.mjs, since Python has none. Prints the error rates of the rounded weights.
"""

import json
import struct
import sys

import torch

from data import held_out, read_dictionary
from model import LetterToSound
from train import LETTERS, error_rates, pronounce


def main():
    workdir, out = sys.argv[1:3]
    saved = torch.load(workdir + "/model.pt", weights_only=True)
    state = saved["state"]
    tensors, blobs, rounded = [], [], {}
    for name, value in state.items():
        if value.dim() == 2:
            scale = value.abs().amax(dim=1).clamp(min=1e-8) / 127
            bits = (value / scale[:, None]).round().clamp(-127, 127).to(torch.int8)
            rounded[name] = bits.float() * scale[:, None]
            tensors.append(dict(name=name, shape=list(value.shape), type="int8"))
            blobs += [scale.float().numpy().tobytes(), bits.numpy().tobytes()]
        else:
            rounded[name] = value
            tensors.append(dict(name=name, shape=list(value.shape), type="float32"))
            blobs.append(value.float().numpy().tobytes())
    header = json.dumps(
        dict(letters=LETTERS, chunks=[" ".join(chunk) for chunk in saved["chunks"]], sizes=saved["sizes"], tensors=tensors)
    ).encode()
    header += b" " * (-len(header) % 4)
    with open(out, "wb") as file:
        file.write(struct.pack("<I", len(header)) + header + b"".join(blobs))
    if len(sys.argv) > 3:
        truth = read_dictionary(sys.argv[3])
        words = [word for word in sorted(truth) if held_out(word)]
        model = LetterToSound(**saved["sizes"])
        for name, weights in (("float", state), ("int8", rounded)):
            model.load_state_dict(weights)
            print(name, len(words), json.dumps(error_rates(pronounce(model, words, saved["chunks"]), truth)))


if __name__ == "__main__":
    main()
