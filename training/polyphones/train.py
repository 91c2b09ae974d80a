"""Trains a polyphone model of our own: python train.py FOLDER_OF_CPP_DATA OUT_FOLDER [--epochs 20].

The data are sentences with one labelled character each, `train.sent` and `train.lb` in the format of the CPP dataset
(github.com/kakaobrain/g2pM, data/); where `train.sent` is not there, `dev.sent` and `dev.lb` are taken, less one in ten to
choose the epoch by. The network is the one that src/text/zh/polyphone-model.ts runs: characters embedded in 64 dimensions,
one bidirectional LSTM of 32 units a direction, one hidden layer, and a score for each reading of the character. Writes what
export.py writes; says how many characters of `test.sent`, which it has not seen, it reads right.
"""

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path

import torch
from export import SENTENCE_ENDS, write_model
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

MARK = "▁"
PADDING, UNKNOWN = 0, 1
UNITS, EMBEDDING = 32, 64
# Characters of the training data that stand for unknown ones, so that these have a meaning.
HIDDEN_CHARACTERS = 0.03


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    torch.manual_seed(1)
    random.seed(1)
    torch.set_num_threads(1)
    test = read(arguments.data, "test")
    if (arguments.data / "train.sent").exists() and (arguments.data / "train.sent").stat().st_size > 0:
        train, held = read(arguments.data, "train"), read(arguments.data, "dev")
    else:
        train = read(arguments.data, "dev")
        random.shuffle(train)
        held, train = train[::10], [example for i, example in enumerate(train) if i % 10]
    characters = ["<pad>", "<unk>", *SENTENCE_ENDS, *sorted({c for text, _, _ in train for c in text})]
    classes = sorted({label for _, _, label in train})
    readings = defaultdict(set)
    for text, at, label in train:
        readings[text[at]].add(classes.index(label))
    # Of a character with one reading in the data the model has nothing to say; nor is it asked for it.
    candidates = {character: sorted(known) for character, known in readings.items()}
    network = Network(len(characters), len(classes))
    index = {character: i for i, character in enumerate(characters)}
    train, held, test = ([encoded(each, index, classes, candidates) for each in part] for part in (train, held, test))
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=4e-3, total_steps=arguments.epochs * (len(train) // BATCH + 1)
    )
    best, kept = 0.0, None
    for epoch in range(arguments.epochs):
        network.train()
        total = 0.0
        for ids, lengths, at, mask, label in batches(train, len(classes), shuffle=True):
            loss = nn.functional.cross_entropy(network(ids, lengths, at) + mask, label)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(label)
        right = accuracy(network, held, len(classes))
        print(f"epoch {epoch + 1}: loss {total / len(train):.4f}, held out {right:.2%}", flush=True)
        if right >= best:
            best, kept = right, {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(kept)
    print(f"test: {accuracy(network, test, len(classes)):.2%} of {len(test)}; {len(train)} training sentences")
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    write_model(arguments.out, weights, characters, classes, {c: k for c, k in candidates.items() if len(k) > 1})
    (arguments.out / "figures.json").write_text(json.dumps({"held": best, "sentences": len(train)}))


def read(folder, part):
    """(text, place of the labelled character, reading) of each sentence."""
    sentences = (folder / f"{part}.sent").read_text("utf-8").strip().split("\n")
    labels = (folder / f"{part}.lb").read_text("utf-8").strip().split("\n")
    return [
        (sentence.replace(MARK, ""), sentence.index(MARK), label)
        for sentence, label in zip(sentences, labels, strict=True)
    ]


BATCH = 32


def encoded(example, index, classes, candidates):
    text, at, label = example
    ids = [index[SENTENCE_ENDS[0]], *(index.get(c, UNKNOWN) for c in text), index[SENTENCE_ENDS[1]]]
    known = candidates.get(text[at], [])
    return ids, at + 1, known, classes.index(label) if label in classes else -1


def batches(examples, classes, shuffle=False):
    order = list(range(len(examples)))
    if shuffle:
        random.shuffle(order)
    for i in range(0, len(order), BATCH):
        chosen = [examples[k] for k in order[i : i + BATCH]]
        lengths = torch.tensor([len(ids) for ids, *_ in chosen])
        ids = torch.full((len(chosen), int(lengths.max())), PADDING)
        mask = torch.full((len(chosen), classes), -1e9)
        for row, (own, _, known, _) in enumerate(chosen):
            ids[row, : len(own)] = torch.tensor(own)
            mask[row, known] = 0
        if shuffle:
            hidden = (torch.rand(ids.shape) < HIDDEN_CHARACTERS) & (ids > 3)
            ids[hidden] = UNKNOWN
        yield ids, lengths, torch.tensor([at for _, at, _, _ in chosen]), mask, torch.tensor([y for *_, y in chosen])


class Network(nn.Module):
    def __init__(self, characters, classes):
        super().__init__()
        self.embedding = nn.Embedding(characters, EMBEDDING, padding_idx=PADDING)
        self.lstm = nn.LSTM(EMBEDDING, UNITS, batch_first=True, bidirectional=True)
        self.logit_layer = nn.Sequential(nn.Linear(2 * UNITS, UNITS), nn.ReLU(), nn.Linear(UNITS, classes))
        self.dropout = nn.Dropout(0.3)

    def forward(self, ids, lengths, at):  # (rows, characters) → (rows, classes)
        packed = pack_padded_sequence(
            self.dropout(self.embedding(ids)), lengths, batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.logit_layer(self.dropout(states[torch.arange(len(at)), at]))


@torch.no_grad()
def accuracy(network, examples, classes):
    network.eval()
    right = 0
    for ids, lengths, at, mask, label in batches(examples, classes):
        # Of a character that the training data lack all readings are masked: it is wrong, whatever comes first.
        scores = network(ids, lengths, at) + mask
        right += int(((scores.argmax(1) == label) & (scores.max(1).values > -1e8)).sum())
    return right / len(examples)


if __name__ == "__main__":
    main()
