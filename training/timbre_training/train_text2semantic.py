"""Trains text-to-semantic-tokens: `python -m timbre_training.train_text2semantic --data DIR --run DIR`."""

import argparse
import copy
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .run import Run, autocast, batches, choose_device, generator, learning_rate, update_average
from .text2semantic import Text2Semantic, Text2SemanticSizes
from .utterances import Corpus, Utterance, read_corpus

_GUIDED_LAYERS = (1, 2, 3)
_LONGEST_PAIR = 330  # tokens


@dataclass(frozen=True)
class Text2SemanticOptions:
    """What a run is trained with."""

    seed: int = 1
    positions: int = 2600  # text and tokens together in a batch
    peak_rate: float = 1e-3
    warm_up: int = 150
    half_life: float = 4_000
    dropout: float = 0.1
    prompted: float = 0.8  # share of examples that continue another utterance
    heard: float = 0.8  # share of those whose prompt is what the token encoder hears
    wrong: float = 0.06  # share of earlier tokens replaced, so that the model survives its own mistakes
    guide: float = 0.4


@dataclass(frozen=True)
class Example:
    """One sequence; the loss is taken from token `first` on."""

    phonemes: list[int]
    tokens: np.ndarray
    aligned: list[int]
    first: int


@dataclass(frozen=True)
class Text2SemanticBatch:
    """Phonemes padded on the left, tokens on the right; `weights` and `guide` are one longer than the tokens (the end)."""

    phonemes: Tensor
    phoneme_lengths: Tensor
    given: Tensor
    tokens: Tensor
    token_lengths: Tensor
    weights: Tensor
    guide: Tensor

    def to(self, device: torch.device) -> "Text2SemanticBatch":
        return Text2SemanticBatch(*(getattr(self, one.name).to(device) for one in fields(self)))


class Text2SemanticBatches:
    """Batches by step; sequences of similar length share a batch, languages take turns."""

    def __init__(self, corpus: Corpus, token_classes: np.ndarray, options: Text2SemanticOptions) -> None:
        self.corpus, self.options = corpus, options
        said = [one for one in corpus.utterances if not one.held_out]
        self.groups = [group for group in ([u for u in said if u.language == code] for code in ("en", "zh")) if group]
        self.alike = [np.flatnonzero(token_classes == code) for code in token_classes]

    def __call__(self, step: int) -> Text2SemanticBatch:
        rng = generator(self.options.seed, step)
        group = self.groups[step % len(self.groups)]
        pool = sorted((self._example(group, rng) for _ in range(self.options.positions // 27)), key=_positions)
        at = int(rng.integers(len(pool)))
        taken, longest = [pool[at]], _positions(pool[at])
        for example in [*pool[at + 1 :], *reversed(pool[:at])]:
            longest = max(longest, _positions(example))
            if longest * (len(taken) + 1) > self.options.positions:
                break
            taken.append(example)
        return collate(taken, [self._spoiled(example.tokens, rng) for example in taken])

    def _example(self, group: list[Utterance], rng: np.random.Generator) -> Example:
        utterance = group[int(rng.integers(len(group)))]
        tokens = self.corpus.tokens[utterance.id]
        prompt = group[int(rng.integers(len(group)))]
        heard = rng.random() < self.options.heard
        # A reference recording's tokens are what the encoder hears; the model need not learn to say them.
        before = (self.corpus.prompts if heard else self.corpus.tokens)[prompt.id]
        if rng.random() >= self.options.prompted or len(before) + len(tokens) > _LONGEST_PAIR:
            return Example(utterance.ids, tokens, utterance.aligned, 0)
        return continued(prompt, before, utterance, tokens, len(before) if heard else 0)

    def _spoiled(self, tokens: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        tokens = tokens.copy()
        for place in np.flatnonzero(rng.random(len(tokens)) < self.options.wrong):
            choices = self.alike[tokens[place]] if rng.random() < 0.5 else np.arange(len(self.alike))
            tokens[place] = choices[int(rng.integers(len(choices)))]
        return tokens


def continued(
    prompt: Utterance, before: np.ndarray, utterance: Utterance, tokens: np.ndarray, first: int
) -> Example:  # fmt: skip
    """`tokens` of an utterance after a prompt whose tokens are `before`, silence after it included."""
    silence = [-1] * (len(before) - len(prompt.aligned))
    shifted = [a + len(prompt.ids) if a >= 0 else -1 for a in utterance.aligned]
    return Example(
        [*prompt.ids, *utterance.ids], np.concatenate([before, tokens]), [*prompt.aligned, *silence, *shifted], first
    )  # fmt: skip


def _positions(example: Example) -> int:
    return len(example.phonemes) + len(example.tokens)


def collate(examples: list[Example], given: list[np.ndarray]) -> Text2SemanticBatch:
    """One batch of examples whose input tokens are `given` and whose targets are their own."""
    n = max(len(one.phonemes) for one in examples)
    m = max(len(one.tokens) for one in examples)
    phonemes = np.zeros((len(examples), n), dtype=np.int64)
    inputs, tokens = (np.zeros((len(examples), m), dtype=np.int64) for _ in range(2))
    weights = np.zeros((len(examples), m + 1), dtype=np.float32)
    guide = np.full((len(examples), m + 1), -1, dtype=np.int64)
    for row, (one, shown) in enumerate(zip(examples, given, strict=True)):
        count = len(one.tokens)
        before = n - len(one.phonemes)
        phonemes[row, before:] = one.phonemes
        inputs[row, :count], tokens[row, :count] = shown, one.tokens
        weights[row, one.first : count + 1] = 1
        aligned = np.array(one.aligned[:count])
        guide[row, : len(aligned)] = np.where(aligned >= 0, aligned + before, -1)
    lengths = (
        torch.tensor([len(one.phonemes) for one in examples]),
        torch.tensor([len(one.tokens) for one in examples]),
    )
    return Text2SemanticBatch(
        torch.from_numpy(phonemes), lengths[0], torch.from_numpy(inputs), torch.from_numpy(tokens), lengths[1],
        torch.from_numpy(weights), torch.from_numpy(guide),
    )  # fmt: skip


class Text2SemanticTraining:
    """Model, averaged weights and optimiser, and one step of training; keeps the best averaged weights so far.

    The corpus is small enough to be learnt by heart on a fast machine: what is exported is the state with the lowest
    cross-entropy on held-out texts, not the last one.
    """

    def __init__(self, sizes: Text2SemanticSizes, options: Text2SemanticOptions, device: torch.device) -> None:
        torch.manual_seed(options.seed)
        self.options, self.device = options, device
        self.model = Text2Semantic(sizes).to(device)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.best = copy.deepcopy(self.average)
        self.best_entropy = float("inf")
        self.trained = [one for one in self.model.parameters() if one.requires_grad]
        self.optimiser = torch.optim.AdamW(
            self.trained, options.peak_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )

    def state(self) -> dict[str, object]:
        """Everything a resumed run needs."""
        parts = {name: getattr(self, name).state_dict() for name in ("model", "average", "best", "optimiser")}
        return {**parts, "best_entropy": self.best_entropy}

    def restore(self, state: dict[str, object]) -> None:
        """Takes over a saved state."""
        for name in ("model", "average", "best", "optimiser"):
            getattr(self, name).load_state_dict(state[name])
        self.best_entropy = state["best_entropy"]

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Takes over weights of an earlier model; its BERT projection, which nothing trained, becomes zero."""
        self.model.load_state_dict({name: value.float() for name, value in weights.items()})
        torch.nn.init.zeros_(self.model.bert_proj.weight)
        for module in (self.average, self.best):
            module.load_state_dict(self.model.state_dict())

    def step(self, batch: Text2SemanticBatch, step: int) -> dict[str, float]:
        """One update; returns losses and the share of tokens right."""
        options = self.options
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(options.peak_rate, step, warm_up=options.warm_up, half_life=options.half_life)
        self.model.train()
        scores, targets, look = self._scores(self.model, batch, options.dropout)
        loss = _mean(F.cross_entropy(scores.transpose(1, 2), targets, reduction="none"), batch.weights)
        self.optimiser.zero_grad(set_to_none=True)
        (loss + options.guide * look).backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimiser.step()
        update_average(self.average, self.model, step, 0.998)
        right = _mean((scores.argmax(-1) == targets).float(), batch.weights)
        return {"entropy": float(loss.detach()), "look": float(look.detach()), "right": float(right)}

    @torch.no_grad()
    def held_out(self, corpus: Corpus, token_classes: np.ndarray) -> dict[str, float]:
        """Cross-entropy, tokens right and phoneme classes right on held-out texts with the averaged weights; keeps the best.

        With a prompt, which is a reference recording of training, and without one: the best is the best of both.
        """
        classes = torch.from_numpy(np.append(token_classes, -1)).to(self.device)
        report: dict[str, float] = {}
        for language, name_of_set in ((code, code + mode) for mode in ("", "_prompted") for code in ("en", "zh")):
            utterances = [one for one in corpus.utterances if one.held_out and one.language == language][:40]
            if not utterances:
                continue
            learnt = [one for one in corpus.utterances if not one.held_out and one.language == language]
            prompts = [learnt[number * len(learnt) // len(utterances)] for number in range(len(utterances))]
            sums = np.zeros(4)
            for at in range(0, len(utterances), 20):
                part = utterances[at : at + 20]
                examples = [Example(one.ids, corpus.tokens[one.id], one.aligned, 0) for one in part]
                if name_of_set != language:
                    examples = [
                        continued(prompt, before, one, corpus.tokens[one.id], len(before))
                        for prompt, one in zip(prompts[at : at + 20], part, strict=True)
                        for before in [corpus.prompts[prompt.id]]
                    ]
                batch = collate(examples, [one.tokens for one in examples]).to(self.device)
                scores, targets, _ = self._scores(self.average, batch, 0.0)
                guess = scores.argmax(-1)
                entropy = F.cross_entropy(scores.transpose(1, 2), targets, reduction="none")
                for column, value in enumerate((entropy, guess == targets, classes[guess] == classes[targets])):
                    sums[column] += float((value.float() * batch.weights).sum())
                sums[3] += float(batch.weights.sum())
            for name, value in zip(("entropy", "right", "class_right"), sums[:3] / sums[3], strict=True):
                report[f"held_out_{name_of_set}_{name}"] = round(float(value), 4)
        entropy = float(np.mean([value for name, value in report.items() if name.endswith("_entropy")] or [0]))
        if entropy < self.best_entropy:
            self.best_entropy = entropy
            self.best.load_state_dict(self.average.state_dict())
        return report

    def _scores(self, model: Text2Semantic, batch: Text2SemanticBatch, dropout: float) -> tuple[Tensor, Tensor, Tensor]:
        with autocast(self.device):
            scores, look = model(
                batch.phonemes, batch.phoneme_lengths, batch.given, batch.token_lengths,
                dropout=dropout, guide=batch.guide, guided=_GUIDED_LAYERS,
            )  # fmt: skip
        end = torch.full_like(batch.tokens[:, :1], model.sizes.EOS)
        places = torch.arange(batch.tokens.shape[1] + 1, device=self.device)
        over = places >= batch.token_lengths[:, None]
        targets = torch.cat([batch.tokens, end], dim=1).masked_fill(over, model.sizes.EOS)
        return scores.float(), targets, look


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="prepared folder with utterances and tokens")
    parser.add_argument("--run", type=Path, required=True, help="folder of checkpoint.pt and metrics.jsonl")
    parser.add_argument("--start", type=Path, help="exported folder to begin a new run with")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--scale", type=int, default=1, help="times the batch of 2,600 positions")
    arguments = parser.parse_args()
    device = choose_device(arguments.device, arguments.threads)
    options = replace(Text2SemanticOptions(), positions=2600 * arguments.scale)
    corpus = read_corpus(arguments.data)
    token_classes = np.load(arguments.data / "token_classes.npy")
    run = Run(arguments.run, seed=options.seed, last_step=arguments.steps, minutes=arguments.minutes)
    training = Text2SemanticTraining(Text2SemanticSizes(), options, device)
    state = run.load()
    if state is not None:
        training.restore(state)
    elif arguments.start is not None:
        stored = torch.load(arguments.start / "s1.ckpt", map_location="cpu", weights_only=True)["weight"]
        training.start_from({name.removeprefix("model."): value for name, value in stored.items()})
    take = batches(Text2SemanticBatches(corpus, token_classes, options), run, ahead=8 if device.type == "cuda" else 0)
    for step in run.steps(training.state):
        run.note(training.step(take(step).to(device), step))
        if (step + 1) % 250 == 0:
            run.write(training.held_out(corpus, token_classes))
    run.write(training.held_out(corpus, token_classes))
    run.save(training.state())


if __name__ == "__main__":
    main()
