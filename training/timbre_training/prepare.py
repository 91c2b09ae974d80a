"""Corpora on disk to a prepared folder: `python -m timbre_training.prepare texts|audio ...`."""

import argparse
import json
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from .audio import SAMPLE_RATE_HZ, load_recording
from .corpora import Recording, find_recordings
from .dataset import Item, to_int16, write_items
from .phonemes import read_phonemes

_SHORTEST_S, _LONGEST_S = 0.2, 9.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("texts", "audio"))
    parser.add_argument("--kathleen", type=Path, help="checkout of rhasspy/dataset-voice-kathleen")
    parser.add_argument("--audio-cmn", type=Path, help="checkout of hugolpz/audio-cmn")
    parser.add_argument("--phonemes", type=Path, help="audio: JSON lines written by export-phonemes")
    parser.add_argument("--output", type=Path, required=True, help="texts: a TSV file; audio: the prepared folder")
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    recordings = find_recordings(arguments.kathleen, arguments.audio_cmn)
    if arguments.what == "texts":
        lines = ["\t".join((one.id, *spoken_text(one))) for one in recordings]
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        if arguments.phonemes is None:
            parser.error("audio needs --phonemes")
        report = prepare_audio(recordings, arguments.phonemes, arguments.output, arguments.processes)
        print(json.dumps(report))


def spoken_text(recording: Recording) -> tuple[str, str]:
    """Language code and text that the phoneme export is asked for; ends with a mark, as sentences do when served."""
    if recording.id.startswith("syllable/"):
        return "pinyin", recording.text
    stop = "" if recording.text[-1] in ".!?" else "。" if recording.language == "zh" else "."
    return recording.language, recording.text + stop


def prepare_audio(recordings: list[Recording], phonemes: Path, output: Path, processes: int) -> dict[str, object]:
    """Decodes, trims and levels every recording that has phonemes; returns minutes and counts by speaker."""
    table = read_phonemes(phonemes)
    wanted = [one for one in recordings if one.id in table]
    with ProcessPoolExecutor(processes) as pool:
        loaded = pool.map(_load, wanted, chunksize=64)
        items, pieces, start = [], [], 0
        for one, samples in zip(wanted, loaded, strict=True):
            if samples is None or not _SHORTEST_S <= len(samples) / SAMPLE_RATE_HZ <= _LONGEST_S:
                continue
            entry = table[one.id]
            items.append(
                Item(one.id, one.language, one.speaker, one.text, one.held_out, entry.symbols, entry.ids, start, len(samples))
            )  # fmt: skip
            pieces.append(samples)
            start += len(samples)
    write_items(output, items, np.concatenate(pieces))
    minutes: Counter[str] = Counter()
    for item in items:
        minutes[item.speaker] += item.length / SAMPLE_RATE_HZ / 60
    return {
        "items": dict(Counter(item.speaker for item in items)),
        "minutes": {speaker: round(value, 1) for speaker, value in minutes.items()},
        "without_phonemes": len(recordings) - len(wanted),
        "held_out": sum(item.held_out for item in items),
    }


def _load(recording: Recording) -> np.ndarray | None:
    samples = load_recording(recording.path, recording.trim)
    return None if samples is None else to_int16(samples)


if __name__ == "__main__":
    main()
