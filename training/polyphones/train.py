"""Trains the polyphone model on what dataset.py wrote: python train.py DATA OUT [--steps 5000].

The network is the one that src/text/zh/polyphone-model.ts runs: characters embedded in 64 dimensions, an LSTM of 40 units a
direction, one hidden layer, and a score for each reading of the character. A state is needed only where a character is asked
for. The weights kept are a running average. The same data, steps and seed give the same weights on one thread.
Writes OUT/model.pt and, for pack.mjs, OUT/tensors.bin and OUT/header.json (export.py).
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from dataset import BEGIN, END, MOST_READINGS, PADDING, UNKNOWN
from export import write_model
from torch import nn
from torch.nn import functional

EMBEDDING, UNITS, HIDDEN = 64, 40, 64
BATCH = 256
# How many sentences of a batch are gold ones.
GOLD = 48
# Characters that stand for unknown ones, so that these have a meaning.
HIDDEN_CHARACTERS = 0.03
# Labels that weigh opinions are made surer than they are: learnt as their power.
SURER = 2
RATE, DECAY, AVERAGE = 4e-3, 0.01, 0.998


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=Path, help="OUT of an earlier run, whose weights to go on from")
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--gold", type=int, default=GOLD)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(1)
    header = json.loads((arguments.data / "header.json").read_text("utf-8"))
    soft, gold, held, test = (load(arguments.data / f"{part}.npz") for part in ("soft", "gold", "held", "test"))
    network = Network(header)
    if arguments.start:
        network.go_on_from(arguments.start, header)
    average = Network(header)
    average.load_state_dict(network.state_dict())
    train(network, average, soft, gold, held, arguments)
    asked = sum(len(places) for _, places in test)
    print(f"test: {accuracy(average, test):.2%} of {asked}, held out: {accuracy(average, held):.2%}", flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.save(average.state_dict(), arguments.out / "model.pt")
    write_model(arguments.out, {name: value.numpy() for name, value in average.state_dict().items()}, header)


def train(network, average, soft, gold, held, arguments):
    optimizer = torch.optim.AdamW(network.parameters(), lr=arguments.rate, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=arguments.rate, total_steps=arguments.steps, pct_start=0.1
    )
    chance = np.random.default_rng(arguments.seed)
    soft_batches = draws(soft, arguments.batch - arguments.gold, chance)
    gold_batches = draws(gold, arguments.gold, chance)
    total = 0.0
    network.train()
    for step in range(1, arguments.steps + 1):
        loss = sum(network.loss(*tensors(next(batches))) for batches in (soft_batches, gold_batches)) / arguments.batch
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        total += loss.item()
        keep = min(AVERAGE, step / (step + 10))
        with torch.no_grad():
            for kept, now in zip(average.parameters(), network.parameters(), strict=True):
                kept.lerp_(now, 1 - keep)
        if step % 250 == 0 or step == arguments.steps:
            print(f"step {step}: loss {total / 250:.4f}, held out {accuracy(average, held):.2%}", flush=True)
            total = 0.0


def load(path):
    """[(characters, [(place, label, weight)])]: examples in the same sentence are learnt from together."""
    parts = np.load(path)
    ids, starts = parts["ids"].astype(np.int64), parts["starts"]
    labels = parts["labels"] ** SURER
    labels /= labels.sum(1, keepdims=True)
    sentences = {}
    for row, (at, label, weight) in enumerate(zip(parts["at"], labels, parts["weights"], strict=True)):
        own = ids[starts[row] : starts[row + 1]]
        sentences.setdefault(own.tobytes(), (own, []))[1].append((int(at), label, weight))
    return list(sentences.values())


def draws(sentences, size, chance):
    """Batches without end, of sentences of like length; the order is drawn anew each time round."""
    lengths = np.array([len(ids) for ids, _ in sentences])
    while True:
        order = np.lexsort((chance.random(len(sentences)), lengths + chance.integers(0, 4, len(sentences))))
        chunks = [order[i : i + size] for i in range(0, len(order), size)]
        for chunk in chance.permutation(len(chunks)):
            yield [sentences[i] for i in chunks[chunk]]


def tensors(batch):
    """Characters there and back (rows, longest + 1), and of each asked place: row, place from either end, label, weight."""
    longest = max(len(ids) for ids, _ in batch) + 1
    there = np.full((len(batch), longest), PADDING, dtype=np.int64)
    back = there.copy()
    asked, labels, weights = [], [], []
    for row, (ids, places) in enumerate(batch):
        there[row, : len(ids) + 1] = [BEGIN, *ids]
        back[row, : len(ids) + 1] = [END, *ids[::-1]]
        for at, label, weight in places:
            asked.append((row, at + 1, len(ids) - at, ids[at]))
            labels.append(label)
            weights.append(weight)
    return tuple(map(torch.as_tensor, (there, back, np.array(asked), np.array(labels), np.array(weights))))


class Network(nn.Module):
    def __init__(self, header):
        super().__init__()
        characters = header["characters"]
        first, count, rows = [0] * len(characters), [0] * len(characters), 0
        for index, character in enumerate(characters):
            known = header["candidates"].get(character, ())
            first[index], count[index] = rows, len(known)
            rows += len(known)
        self.first, self.count = torch.tensor(first), torch.tensor(count)
        self.embedding = nn.Embedding(len(characters), EMBEDDING, padding_idx=PADDING)
        self.forward_lstm = nn.LSTM(EMBEDDING, UNITS, batch_first=True)
        self.backward_lstm = nn.LSTM(EMBEDDING, UNITS, batch_first=True)
        self.hidden = nn.Linear(2 * UNITS, HIDDEN)
        self.output = nn.Embedding(rows + MOST_READINGS, HIDDEN)
        self.output_bias = nn.Embedding(rows + MOST_READINGS, 1)
        nn.init.normal_(self.embedding.weight, std=0.4)
        nn.init.normal_(self.output.weight, std=0.05)
        nn.init.zeros_(self.output_bias.weight)
        self.drop_character, self.drop_state = nn.Dropout(0.1), nn.Dropout(0.2)

    @torch.no_grad()
    def go_on_from(self, folder, header):
        """Takes over earlier weights; characters and readings are told by name, since other data may have others."""
        weights = torch.load(folder / "model.pt")
        earlier = json.loads((folder / "header.json").read_text("utf-8"))
        own = self.state_dict()
        places = {character: index for index, character in enumerate(earlier["characters"])}
        rows = {
            (character, reading): row
            for row, (character, reading) in enumerate(
                (character, reading) for character, known in earlier["readings"].items() for reading in known
            )
        }
        row = 0
        for index, character in enumerate(header["characters"]):
            if character in places:
                own["embedding.weight"][index] = weights["embedding.weight"][places[character]]
            for reading in header["candidates"].get(character, ()):
                if (character, reading) in rows:
                    for name in ("output.weight", "output_bias.weight"):
                        own[name][row] = weights[name][rows[character, reading]]
                row += 1
        for name, value in weights.items():
            if own[name].shape == value.shape and not name.startswith(("embedding", "output")):
                own[name].copy_(value)

    def forward(self, there, back, asked):  # (asked, MOST_READINGS)
        row, forth, hence, character = asked.unbind(1)
        before = self.forward_lstm(self.drop_character(self.embedding(there)))[0][row, forth]
        after = self.backward_lstm(self.drop_character(self.embedding(back)))[0][row, hence]
        hidden = functional.relu(self.hidden(self.drop_state(torch.cat([before, after], 1))))
        readings = torch.arange(MOST_READINGS)
        rows = self.first[character][:, None] + readings
        scores = (self.output(rows) * self.drop_state(hidden)[:, None]).sum(2) + self.output_bias(rows)[..., 0]
        return scores.masked_fill(readings >= self.count[character][:, None], -1e9)

    def loss(self, there, back, asked, labels, weights):
        known = (torch.rand(there.shape) >= HIDDEN_CHARACTERS) | (there <= END)
        there = torch.where(known, there, UNKNOWN)
        known = (torch.rand(back.shape) >= HIDDEN_CHARACTERS) | (back <= END)
        scores = functional.log_softmax(self(there, torch.where(known, back, UNKNOWN), asked), 1)
        return -((scores.clamp(min=-50) * labels).sum(1) * weights).sum()


@torch.no_grad()
def accuracy(network, sentences):
    network.eval()
    right = asked = 0
    ordered = sorted(sentences, key=lambda sentence: len(sentence[0]))
    for start in range(0, len(ordered), BATCH):
        there, back, places, labels, _ = tensors(ordered[start : start + BATCH])
        right += int((network(there, back, places).argmax(1) == labels.argmax(1)).sum())
        asked += len(places)
    network.train()
    return right / asked


if __name__ == "__main__":
    main()
