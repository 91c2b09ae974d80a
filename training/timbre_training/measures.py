"""What can be measured about speech without ears: voicing, harmonics, pitch, word errors."""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from .audio import SAMPLE_RATE_HZ

_HOP, _WINDOW = 160, 640
_LOWEST_HZ, _HIGHEST_HZ = 70, 400
_CLEAR = 0.6


@dataclass(frozen=True)
class Voicing:
    """Share of the loud 10 ms frames that repeat clearly, how clearly they do (dB), and their pitch (Hz)."""

    share: float
    harmonics_db: float
    pitch_hz: float
    pitch_spread_semitones: float


def voicing(samples: np.ndarray) -> Voicing:
    """Voicing of speech at 16 kHz by the autocorrelation of 40 ms windows, normalised by the energy of both ends."""
    clarity, pitch, level = pitch_track(samples)
    if len(level) == 0:
        return Voicing(0.0, 0.0, 0.0, 0.0)
    loud = level > level.max() - 25
    clear = loud & (clarity > _CLEAR)
    if not clear.any():
        return Voicing(0.0, 0.0, 0.0, 0.0)
    ratio = np.clip(clarity[clear], 1e-3, 0.999)
    harmonics = float(np.mean(10 * np.log10(ratio / (1 - ratio))))
    semitones = 12 * np.log2(pitch[clear])
    return Voicing(
        float(clear.sum() / loud.sum()), harmonics, float(2 ** (np.median(semitones) / 12)), float(semitones.std())
    )


def pitch_track(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clarity (0 to 1), pitch in Hz and level in dB of every 10 ms frame."""
    longest, shortest = SAMPLE_RATE_HZ // _LOWEST_HZ, SAMPLE_RATE_HZ // _HIGHEST_HZ
    count = (len(samples) - _WINDOW - longest) // _HOP + 1
    if count < 1:
        return (np.empty(0),) * 3
    starts = np.arange(count) * _HOP
    frames = samples[starts[:, None] + np.arange(_WINDOW + longest)].astype(np.float64)
    frames -= frames[:, :_WINDOW].mean(axis=1, keepdims=True)
    size = 2048
    head = np.fft.rfft(frames[:, :_WINDOW], size)
    products = np.fft.irfft(np.conj(head) * np.fft.rfft(frames, size), size)[:, : longest + 1]
    energy = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
    moved = energy[:, _WINDOW : _WINDOW + longest + 1] - energy[:, : longest + 1]
    similar = products / np.sqrt(moved[:, :1] * moved + 1e-9)
    lags = np.arange(shortest, longest + 1)
    # A small preference for short lags keeps the track from falling an octave.
    best = (similar[:, shortest:] * (1 - 0.08 * lags / longest)).argmax(axis=1)
    clarity = np.clip(similar[np.arange(count), shortest + best], 0, 1)
    level = 10 * np.log10(moved[:, 0] / _WINDOW + 1e-10)
    return clarity, SAMPLE_RATE_HZ / lags[best], level


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """Edit distance of the words, and how many were said."""
    reference, guess = ([*re.sub(r"[^a-z' ]", " ", text.lower()).split()] for text in (said, heard))
    return edit_distance(reference, guess), len(reference)


def edit_distance(a: list[str], b: list[str]) -> int:
    """Fewest insertions, deletions and substitutions that make b of a."""
    row = list(range(len(b) + 1))
    for number, left in enumerate(a, start=1):
        before, row = row, [number]
        for place, right in enumerate(b):
            row.append(min(row[-1] + 1, before[place + 1] + 1, before[place] + (left != right)))
    return row[-1]


def recognise_english(samples: np.ndarray) -> str:
    """What pocketsphinx (Debian, en-us model) hears; raises FileNotFoundError where it is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        quiet = np.zeros(SAMPLE_RATE_HZ // 5, dtype=np.float32)
        soundfile.write(path, np.concatenate([quiet, samples, quiet]), SAMPLE_RATE_HZ, subtype="PCM_16")
        command = ["pocketsphinx_continuous", "-infile", str(path), "-logfn", "/dev/null"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split()).lower()
