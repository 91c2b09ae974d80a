"""Recordings on disk to clean mono speech: decode, resample, high-pass, trim, level."""

from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import butter, resample_poly, sosfilt

SAMPLE_RATE_HZ = 16_000
SPEECH_RMS = 0.085
PEAK = 0.95
_FRAME = SAMPLE_RATE_HZ // 100
_HIGH_PASS = butter(2, 50, "highpass", fs=SAMPLE_RATE_HZ, output="sos")


@dataclass(frozen=True)
class Trim:
    """How much of a recording counts as speech: frames within `threshold_db` of the loudest, plus margins."""

    threshold_db: float
    margin_before_s: float
    margin_after_s: float


def load_recording(path: Path, trim: Trim) -> np.ndarray | None:
    """Speech of one file as float32 mono at 16 kHz, RMS of its active part 0.085; None when there is hardly any sound."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = resample(samples.mean(axis=1), rate)
    mono = sosfilt(_HIGH_PASS, mono).astype(np.float32)
    if len(mono) < 10 * _FRAME:
        return None
    level_db = np.convolve(frame_level_db(mono), np.ones(3) / 3, "same")
    active = np.flatnonzero(level_db > level_db.max() - trim.threshold_db)
    first, last = int(active[0]), int(active[-1]) + 1
    start = max(0, int(first * _FRAME - trim.margin_before_s * SAMPLE_RATE_HZ))
    end = min(len(mono), int(last * _FRAME + trim.margin_after_s * SAMPLE_RATE_HZ))
    return _set_level(mono[start:end], level_db[first:last])


def resample(samples: np.ndarray, rate: int) -> np.ndarray:
    """Polyphase resampling to 16 kHz."""
    if rate == SAMPLE_RATE_HZ:
        return samples
    divisor = gcd(rate, SAMPLE_RATE_HZ)
    return resample_poly(samples, SAMPLE_RATE_HZ // divisor, rate // divisor).astype(np.float32)


def frame_level_db(samples: np.ndarray) -> np.ndarray:
    """Power of every whole 10 ms frame in dB."""
    count = len(samples) // _FRAME
    power = (samples[: count * _FRAME].reshape(count, _FRAME) ** 2).mean(axis=1)
    return 10 * np.log10(power + 1e-10)


def tight_span(samples: np.ndarray, threshold_db: float = 27.0) -> tuple[int, int]:
    """Start and end sample of a word without its soft edges, so that words can be set beside each other."""
    level_db = frame_level_db(samples)
    active = np.flatnonzero(level_db > level_db.max() - threshold_db)
    start = max(0, int(active[0]) * _FRAME - _FRAME)
    end = min(len(samples), (int(active[-1]) + 1) * _FRAME + _FRAME * 3 // 2)
    return start, end


def _set_level(samples: np.ndarray, active_level_db: np.ndarray) -> np.ndarray:
    loud = active_level_db[active_level_db > active_level_db.max() - 25]
    rms = np.sqrt(np.mean(10 ** (loud / 10)))
    samples = samples * np.float32(SPEECH_RMS / rms)
    peak = np.abs(samples).max()
    return samples * np.float32(PEAK / peak) if peak > PEAK else samples
