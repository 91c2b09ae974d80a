"""Error rates of g2p_en's GRU (checkpoint20.npz, Apache-2.0) and of ours on the same words.

python compare.py DICTIONARY CHECKPOINT20.npz WORKDIR [--exclude FILE] [--names NAMES.json]

The words held out from our model were in the reference's training data, so the first comparison favours it; the names
({"name": ["P", "H", ...]}, 4,000 of them drawn once) are in neither's.
"""

import argparse
import json
import random

import numpy as np
import torch

from data import WORD, held_out, read_dictionary
from model import LetterToSound
from train import by_length, error_rates, pronounce

LETTERS = ["<pad>", "<unk>", "</s>"] + list("abcdefghijklmnopqrstuvwxyz")
PHONES = (
    "<pad> <unk> <s> </s> AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 B CH D DH EH0 EH1 "
    "EH2 ER0 ER1 ER2 EY0 EY1 EY2 F G HH IH0 IH1 IH2 IY0 IY1 IY2 JH K L M N NG OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH "
    "UH0 UH1 UH2 UW UW0 UW1 UW2 V W Y Z ZH"
).split()
MOST_PHONES = 20


def step(x, w, w_hidden, b, b_hidden, state):
    gates_x, gates_h = x @ w.T + b, state @ w_hidden.T + b_hidden
    size = state.shape[1]
    reset = torch.sigmoid(gates_x[:, :size] + gates_h[:, :size])
    update = torch.sigmoid(gates_x[:, size : 2 * size] + gates_h[:, size : 2 * size])
    fresh = torch.tanh(gates_x[:, 2 * size :] + reset * gates_h[:, 2 * size :])
    return (1 - update) * fresh + update * state


def reference_answers(weights, words):
    answers = {}
    encoder = [weights[f"enc_{name}"] for name in ("w_ih", "w_hh", "b_ih", "b_hh")]
    decoder = [weights[f"dec_{name}"] for name in ("w_ih", "w_hh", "b_ih", "b_hh")]
    for group in by_length(words).values():
        ids = torch.tensor([[LETTERS.index(c) if c in LETTERS else 1 for c in word] + [2] for word in group])
        state = torch.zeros(len(group), encoder[1].shape[1])
        for i in range(ids.shape[1]):
            state = step(weights["enc_emb"][ids[:, i]], *encoder, state)
        token = torch.full((len(group),), PHONES.index("<s>"))
        outputs = []
        for _ in range(MOST_PHONES):
            state = step(weights["dec_emb"][token], *decoder, state)
            token = (state @ weights["fc_w"].T + weights["fc_b"]).argmax(dim=1)
            outputs.append(token)
        for word, row in zip(group, torch.stack(outputs, 1).tolist()):
            end = row.index(PHONES.index("</s>")) if PHONES.index("</s>") in row else len(row)
            answers[word] = tuple(PHONES[i] for i in row[:end])
    return answers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dictionary")
    parser.add_argument("checkpoint")
    parser.add_argument("workdir")
    parser.add_argument("--exclude")
    parser.add_argument("--names")
    options = parser.parse_args()
    torch.set_num_threads(1)
    truth = read_dictionary(options.dictionary)
    excluded = set(open(options.exclude).read().split()) if options.exclude else set()
    words = sorted(w for w in truth if held_out(w) or w in excluded)
    weights = {name: torch.from_numpy(np.array(value)).float() for name, value in np.load(options.checkpoint).items()}
    saved = torch.load(options.workdir + "/model.pt", weights_only=True)
    model = LetterToSound(**saved["sizes"])
    model.load_state_dict(saved["state"])
    sets = {"held-out words": (words, truth)}
    if options.names:
        names = {name: tuple(phones) for name, phones in json.load(open(options.names)).items() if WORD.match(name)}
        sets["names"] = (random.Random(1).sample(sorted(names), 4000), names)
    for title, (wanted, right) in sets.items():
        with torch.no_grad():
            theirs = reference_answers(weights, wanted)
        print(len(wanted), title)
        print("reference", json.dumps(error_rates(theirs, right)))
        print("ours     ", json.dumps(error_rates(pronounce(model, wanted, saved["chunks"]), right)))


if __name__ == "__main__":
    main()
