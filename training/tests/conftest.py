"""A tiny prepared folder of synthetic speech, so that tests take seconds and need no corpus."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from timbre_training.dataset import Item, to_int16, write_alignment, write_items
from timbre_training.quantiser import codebook_state
from timbre_training.utterances import Utterance, write_tokens, write_utterances

RATE = 16_000
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight items of tones in two languages, one of each held out, with alignment, utterances, tokens and quantiser."""
    folder = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(7)
    items, audio, alignment, utterances, tokens = [], [], {}, [], []
    start = 0
    for number in range(8):
        language = "en" if number % 2 == 0 else "zh"
        symbols, ids = (["AA1", "T", "."], [10, 80, 3]) if language == "en" else (["m", "a1", "."], [225, 102, 3])
        length = RATE * 3 // 2 + number * 320
        time = np.arange(length) / RATE
        tone = 0.2 * np.sin(2 * np.pi * 220 * time) * (1 + np.sin(2 * np.pi * 3 * time)) / 2
        audio.append(to_int16(tone + 0.01 * rng.standard_normal(length)))
        held_out = number >= 6
        items.append(Item(f"{language}/{number}", language, language, "text", held_out, symbols, ids, start, length))
        frames = length // 320
        alignment[items[-1].id] = np.repeat([-1, 0, 1, -1], -(-frames // 4))[:frames]
        said = length // 640
        aligned = np.repeat([-1, 0, 1, -1], -(-said // 4))[:said].tolist()
        utterances.append(Utterance(number, language, held_out, "text", ids, [(start, length, 0)], aligned))
        tokens.append(rng.integers(0, 1024, said))
        start += length
    write_items(folder, items, np.concatenate(audio))
    write_alignment(folder, alignment)
    write_utterances(folder, utterances)
    write_tokens(folder, tokens, [np.append(one, np.zeros(7, dtype=np.int64)) for one in tokens])
    np.save(folder / "token_classes.npy", np.arange(1024) // 4)
    state = codebook_state(torch.randn(1024, 192), torch.ones(1024))
    state |= {"ssl_proj.weight": torch.randn(192, 192, 2) * 0.05, "ssl_proj.bias": torch.zeros(192)}
    torch.save(state, folder / "quantiser.pt")
    return folder
