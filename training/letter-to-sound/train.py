"""Trains the letter-to-sound model on a CMUdict file: python train.py DICTIONARY WORKDIR [--epochs N].

Writes WORKDIR/model.pt (best on a development slice) and prints phone and word error rates on the held-out words.
"""

import argparse
import json
import os
import pickle
import random
import time
from collections import Counter, defaultdict

import torch
from torch import nn

from align import align
from data import held_out, read_dictionary
from model import LetterToSound

LETTERS = "'abcdefghijklmnopqrstuvwxyz"  # id 0 is unused padding
LETTER_IDS = {letter: i + 1 for i, letter in enumerate(LETTERS)}
MIN_CHUNK_COUNT = 12


def edit_distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def by_length(words):
    groups = defaultdict(list)
    for word in words:
        groups[len(word)].append(word)
    return groups


def pronounce(model, words, chunks, beam=4):
    """{word: (phone, ...)} for every word."""
    model.eval()
    answers = {}
    for group in by_length(words).values():
        for at in range(0, len(group), 512):
            part = group[at : at + 512]
            ids = torch.tensor([[LETTER_IDS[c] for c in word] for word in part])
            for word, path in zip(part, model.decode(ids, beam).tolist()):
                answers[word] = tuple(phone for chunk in path for phone in chunks[chunk])
    return answers


def error_rates(answers, truth):
    """Phone and word error rates with stress, and without."""
    rates = {}
    for name, view in (("stress", tuple), ("plain", lambda p: tuple(x.rstrip("012") for x in p))):
        errors = phones = wrong = 0
        for word, answer in answers.items():
            distance = edit_distance(view(answer), view(truth[word]))
            errors += distance
            phones += len(truth[word])
            wrong += distance > 0
        rates[name] = dict(per=errors / max(1, phones), wer=wrong / max(1, len(answers)))
    return rates


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dictionary")
    parser.add_argument("workdir")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--exclude", help="file of words (one a line) that are held out as well")
    parser.add_argument("--rate", type=float, default=2.5e-3)
    parser.add_argument("--resume", help="model.pt to start from (same split, same chunks)")
    options = parser.parse_args()
    random.seed(1)
    torch.manual_seed(1)
    torch.set_num_threads(1)
    os.makedirs(options.workdir, exist_ok=True)

    truth = read_dictionary(options.dictionary)
    excluded = set(open(options.exclude).read().split()) if options.exclude else set()
    test = sorted(w for w in truth if held_out(w) or w in excluded)
    train = sorted(w for w in truth if not (held_out(w) or w in excluded))
    random.shuffle(train)
    dev, train = train[:1500], train[1500:]
    print(f"{len(train)} words to train on, {len(dev)} to choose by, {len(test)} held out", flush=True)

    cache = os.path.join(options.workdir, "aligned.pickle")
    if os.path.exists(cache):
        aligned = pickle.load(open(cache, "rb"))
    else:
        aligned = align([(w, truth[w]) for w in train])
        pickle.dump(aligned, open(cache, "wb"))
    counts = Counter(chunk for _, path in aligned if path for chunk in path)
    chunks = [chunk for chunk, count in counts.most_common() if count >= MIN_CHUNK_COUNT]
    chunk_ids = {chunk: i for i, chunk in enumerate(chunks)}
    usable = [(w, path) for w, path in aligned if path and all(c in chunk_ids for c in path)]
    print(f"{len(chunks)} phone chunks; {len(usable)} of {len(aligned)} words usable", flush=True)

    groups = defaultdict(list)
    for word, path in usable:
        groups[len(word)].append(([LETTER_IDS[c] for c in word], [chunk_ids[c] for c in path]))
    groups = {
        length: (torch.tensor([x for x, _ in rows]), torch.tensor([y for _, y in rows]))
        for length, rows in groups.items()
    }
    model = LetterToSound(len(LETTERS) + 1, len(chunks))
    print(sum(p.numel() for p in model.parameters()), "parameters", flush=True)
    if options.resume:
        earlier = torch.load(options.resume, weights_only=True)
        assert earlier["chunks"] == chunks, "the resumed model has other phone chunks"
        model.load_state_dict(earlier["state"])
    # The served weights are a running average over about a thousand steps.
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.999))
    steps = sum(-(-len(x) // options.batch) for x, _ in groups.values())
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=options.rate, total_steps=steps * options.epochs, pct_start=0.08, final_div_factor=100
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    best = 1.0
    for epoch in range(options.epochs):
        model.train()
        started, total = time.time(), 0.0
        batches = []
        for length, (x, _) in groups.items():
            order = torch.randperm(len(x))
            batches += [(length, order[at : at + options.batch]) for at in range(0, len(x), options.batch)]
        random.shuffle(batches)
        for length, rows in batches:
            x, y = groups[length][0][rows], groups[length][1][rows]
            previous = torch.cat([torch.full((len(rows), 1), len(chunks)), y[:, :-1]], dim=1)
            # One previous chunk in twelve is a random one, so that the tagger survives its own mistakes.
            noise = torch.rand(previous.shape) < 0.08
            previous = torch.where(noise, torch.randint(0, len(chunks), previous.shape), previous)
            loss = loss_of(model(x, previous).flatten(0, 1), y.flatten())
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            average.update_parameters(model)
            total += loss.item()
        rates = error_rates(pronounce(average.module, dev, chunks, beam=1), truth)
        print(
            f"epoch {epoch + 1} loss {total / len(batches):.4f} dev {json.dumps(rates)} {time.time() - started:.0f} s",
            flush=True,
        )
        if rates["stress"]["per"] <= best:
            best = rates["stress"]["per"]
            torch.save(dict(sizes=model.sizes, state=average.module.state_dict(), chunks=chunks), options.workdir + "/model.pt")
    saved = torch.load(options.workdir + "/model.pt", weights_only=True)
    model.load_state_dict(saved["state"])
    answers = pronounce(model, test, chunks)
    rates = error_rates(answers, truth)
    print("held out:", json.dumps(rates), flush=True)
    with open(options.workdir + "/held-out.json", "w") as out:
        json.dump(dict(words=len(test), rates=rates, beam=4), out, indent=1)


if __name__ == "__main__":
    main()
