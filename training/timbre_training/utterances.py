"""What the models learn from: whole sentences, single words, and words set beside each other."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .dataset import to_float

_FADE = np.linspace(0, 1, 80, dtype=np.float32)


@dataclass(frozen=True)
class Utterance:
    """One text and its speech.

    `parts` are (start, length, silence before) in samples of the audio array; `aligned` is the phoneme index of every
    40 ms token, -1 for silence.
    """

    id: int
    language: str
    held_out: bool
    text: str
    ids: list[int]
    parts: list[tuple[int, int, int]]
    aligned: list[int]

    @property
    def length(self) -> int:
        return sum(length + silence for _, length, silence in self.parts)


@dataclass(frozen=True)
class Corpus:
    """Utterances, their audio, and two readings of their tokens, by utterance id.

    `tokens` agree with the aligned phoneme (what text-to-tokens is to say); `prompts` are those the token encoder finds
    by itself in the utterance and the silence that serving appends (what a reference recording gives), `heard` the
    same without the silence.
    """

    utterances: list[Utterance]
    audio: np.ndarray
    tokens: list[np.ndarray]
    heard: list[np.ndarray]
    prompts: list[np.ndarray]


def samples_of(utterance: Utterance, audio: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """The utterance's speech, float32; seams between words are faded and their silence is faint noise."""
    pieces = []
    for start, length, silence in utterance.parts:
        if silence:
            pieces.append(noise.standard_normal(silence, dtype=np.float32) * np.float32(1e-4))
        piece = to_float(audio[start : start + length])
        if len(utterance.parts) > 1:
            piece[:80] *= _FADE
            piece[-80:] *= _FADE[::-1]
        pieces.append(piece)
    return np.concatenate(pieces)


def write_utterances(folder: Path, utterances: list[Utterance]) -> None:
    """Writes utterances.jsonl."""
    lines = [json.dumps(asdict(one), ensure_ascii=False) for one in utterances]
    (folder / "utterances.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_utterances(folder: Path) -> list[Utterance]:
    """Reads utterances.jsonl."""
    rows = [json.loads(line) for line in (folder / "utterances.jsonl").read_text(encoding="utf-8").splitlines()]
    return [Utterance(**{**row, "parts": [tuple(part) for part in row["parts"]]}) for row in rows]


def write_tokens(folder: Path, tokens: list[np.ndarray], prompts: list[np.ndarray]) -> None:
    """Writes tokens.npz."""
    np.savez_compressed(
        folder / "tokens.npz",
        tokens=np.concatenate(tokens).astype(np.int16),
        prompts=np.concatenate(prompts).astype(np.int16),
        ends=np.cumsum([len(one) for one in tokens]),
        prompt_ends=np.cumsum([len(one) for one in prompts]),
    )


def read_corpus(folder: Path) -> Corpus:
    """Reads audio, utterances and tokens of a prepared folder."""
    stored = np.load(folder / "tokens.npz")
    if "prompts" not in stored:
        raise ValueError(
            f'"{folder}/tokens.npz" is of an earlier recipe; make it again with timbre_training.make_tokens'
        )
    tokens, prompts = (
        np.split(stored[name].astype(np.int64), stored[ends][:-1])
        for name, ends in (("tokens", "ends"), ("prompts", "prompt_ends"))
    )
    heard = [prompt[: len(own)] for prompt, own in zip(prompts, tokens, strict=True)]
    return Corpus(read_utterances(folder), np.load(folder / "audio.npy", mmap_mode="r"), tokens, heard, prompts)
