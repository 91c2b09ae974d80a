"""Utterances to learn from: `python -m timbre_training.make_utterances --data DIR`.

English sentences as they are; Mandarin words alone, and set beside each other as sentences of two to eight words, since
the Mandarin recordings are single words.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from .audio import SAMPLE_RATE_HZ, tight_span
from .corpora import NOT_LEARNT
from .dataset import PHONEME_FRAME, Dataset, Item, read_dataset
from .phonemes import PUNCTUATION
from .utterances import Utterance, write_utterances

TOKEN = 2 * PHONEME_FRAME  # samples per semantic token, 40 ms
_SENTENCE_WORDS = (2, 3, 3, 4, 4, 5, 5, 6, 7, 8)
_COMMA_SHARE = 0.15


def make_utterances(dataset: Dataset, seed: int, passes: float, single_words: int) -> list[Utterance]:
    """All utterances; every Mandarin word occurs `passes` times in sentences, `single_words` of them also alone."""
    rng = np.random.default_rng(seed)
    items = [item for item in dataset.items if item.id in dataset.alignment and item.speaker not in NOT_LEARNT]
    symbol_ids = {symbol: number for item in items for symbol, number in zip(item.phonemes, item.ids, strict=True)}
    words = [item for item in items if item.language == "zh" and not item.held_out]
    alone = [item for item in items if item.language == "en" or item.held_out]
    alone += [words[index] for index in rng.permutation(len(words))[:single_words]]
    made = [_alone(number, item, dataset) for number, item in enumerate(alone)]
    pool = np.concatenate([rng.permutation(len(words)) for _ in range(int(np.ceil(passes)))]) if words else []
    pool = pool[: int(len(words) * passes)]
    at = 0
    while at < len(pool):
        count = int(rng.choice(_SENTENCE_WORDS))
        sentence = [words[index] for index in pool[at : at + count]]
        made.append(_sentence(len(made), sentence, dataset, symbol_ids, rng))
        at += count
    return made


def _alone(number: int, item: Item, dataset: Dataset) -> Utterance:
    parts = [(item.start, item.length, 0)]
    aligned = align_tokens(parts, [(0, dataset.alignment[item.id], np.arange(len(item.ids)))])
    return Utterance(number, item.language, item.held_out, item.text, item.ids, parts, aligned)


def _sentence(
    number: int, words: list[Item], dataset: Dataset, symbol_ids: dict[str, int], rng: np.random.Generator
) -> Utterance:
    parts: list[tuple[int, int, int]] = []
    spoken: list[tuple[int, np.ndarray, np.ndarray]] = []
    ids: list[int] = []
    for place, word in enumerate(words):
        silence = int(rng.integers(0, int(0.03 * SAMPLE_RATE_HZ))) if place else 0
        if place and rng.random() < _COMMA_SHARE:
            ids.append(symbol_ids[","])
            silence = int(rng.integers(int(0.15 * SAMPLE_RATE_HZ), int(0.3 * SAMPLE_RATE_HZ)))
        first, last = tight_span(dataset.samples(word))
        if place == len(words) - 1:
            last = min(word.length, last + 1200)
        # Where each of the word's phonemes stands in the sentence; punctuation of the word itself is left out.
        sounding = np.array([symbol not in PUNCTUATION for symbol in word.phonemes])
        places = len(ids) + np.cumsum(sounding) - 1
        ids += [one for one, sounds in zip(word.ids, sounding, strict=True) if sounds]
        parts.append((word.start + first, last - first, silence))
        spoken.append((first, dataset.alignment[word.id], places))
    ids.append(symbol_ids["."])
    text = " ".join(word.text for word in words)
    return Utterance(number, "zh", False, text, ids, parts, align_tokens(parts, spoken))


def align_tokens(parts: list[tuple[int, int, int]], spoken: list[tuple[int, np.ndarray, np.ndarray]]) -> list[int]:
    """Phoneme index of every token of glued parts, -1 for silence.

    `spoken` says for each part where it begins in its item, the item's frames, and the place of the item's phonemes.
    The middle of a token decides, 360 samples in, where the encoder's two frames of the token meet.
    """
    count = sum(length + silence for _, length, silence in parts) // TOKEN
    aligned = [-1] * count
    begin = 0
    for (_, length, silence), (offset, frames, places) in zip(parts, spoken, strict=True):
        begin += silence
        for token in range(max(0, (begin - PHONEME_FRAME) // TOKEN), min(count, (begin + length) // TOKEN + 1)):
            middle = token * TOKEN + 360
            if begin <= middle < begin + length:
                frame = (middle - begin + offset) // PHONEME_FRAME
                if frame < len(frames) and frames[frame] >= 0:
                    aligned[token] = int(places[frames[frame]])
        begin += length
    return aligned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="prepared folder with alignment")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--passes", type=float, default=1.6)
    parser.add_argument("--single-words", type=int, default=1600)
    arguments = parser.parse_args()
    made = make_utterances(read_dataset(arguments.data), arguments.seed, arguments.passes, arguments.single_words)
    write_utterances(arguments.data, made)
    print(json.dumps({"utterances": len(made), "minutes": round(sum(u.length for u in made) / SAMPLE_RATE_HZ / 60, 1)}))


if __name__ == "__main__":
    main()
