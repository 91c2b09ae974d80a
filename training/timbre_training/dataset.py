"""The prepared recordings: one int16 array and one JSON line per item."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

PHONEME_FRAME = 320  # samples per alignment frame, 20 ms


@dataclass(frozen=True)
class Item:
    """One prepared recording: samples `start` to `start + length` of the audio array, and what is said in it."""

    id: str
    language: str
    speaker: str
    text: str
    held_out: bool
    phonemes: list[str]
    ids: list[int]
    start: int
    length: int


@dataclass(frozen=True)
class Dataset:
    """Items and their audio; `alignment[id]` is the phoneme index heard in every 20 ms frame, -1 for silence."""

    items: list[Item]
    audio: np.ndarray
    alignment: dict[str, np.ndarray]

    def samples(self, item: Item) -> np.ndarray:
        """Speech of an item, float32, full scale 1."""
        return to_float(self.audio[item.start : item.start + item.length])


def to_float(samples: np.ndarray) -> np.ndarray:
    """int16 samples as float32 of full scale 1."""
    return samples.astype(np.float32) / 32767


def to_int16(samples: np.ndarray) -> np.ndarray:
    """float samples as int16, clipped at full scale."""
    return (np.clip(samples, -1, 1) * 32767).astype(np.int16)


def write_items(folder: Path, items: list[Item], audio: np.ndarray) -> None:
    """Writes audio.npy and items.jsonl."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "audio.npy", audio)
    lines = [json.dumps(asdict(item), ensure_ascii=False) for item in items]
    (folder / "items.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_alignment(folder: Path, alignment: dict[str, np.ndarray]) -> None:
    """Writes alignment.npz: all frames in one int16 array, and where each item's frames end."""
    names = list(alignment)
    frames = [np.asarray(alignment[name], dtype=np.int16) for name in names]
    ends = np.cumsum([len(frame) for frame in frames])
    np.savez_compressed(folder / "alignment.npz", names=np.array(names), frames=np.concatenate(frames), ends=ends)


def read_dataset(folder: Path) -> Dataset:
    """Reads a prepared folder; the alignment is empty where it has not been made yet."""
    lines = (folder / "items.jsonl").read_text(encoding="utf-8").splitlines()
    items = [Item(**json.loads(line)) for line in lines]
    audio = np.load(folder / "audio.npy", mmap_mode="r")
    alignment: dict[str, np.ndarray] = {}
    path = folder / "alignment.npz"
    if path.exists():
        stored = np.load(path)
        pieces = np.split(stored["frames"], stored["ends"][:-1])
        alignment = dict(zip(stored["names"].tolist(), pieces, strict=True))
    return Dataset(items, audio, alignment)
