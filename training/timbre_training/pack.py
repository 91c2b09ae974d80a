"""A prepared folder as one small file, to carry to a machine with a GPU: `python -m timbre_training.pack pack|unpack ...`.

Speech is stored as Opus at 26 kbit/s, everything else as it is: 4.8 hours take less than 64 MiB.
"""

import argparse
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import soundfile

from .audio import SAMPLE_RATE_HZ
from .dataset import to_int16

_BLOCK = SAMPLE_RATE_HZ * 600
# libsndfile spreads 256 down to 6 kbit/s over 0 to 1.
_COMPRESSION = 0.92
_SPEECH = "speech-{:03}.ogg"


def pack(folder: Path, file: Path) -> int:
    """Writes every file of a prepared folder into one zip; returns its size in bytes."""
    audio = np.load(folder / "audio.npy", mmap_mode="r")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, start in enumerate(range(0, len(audio), _BLOCK)):
            coded = io.BytesIO()
            block = np.asarray(audio[start : start + _BLOCK])
            soundfile.write(
                coded, block, SAMPLE_RATE_HZ, format="OGG", subtype="OPUS", compression_level=_COMPRESSION
            )  # fmt: skip
            archive.writestr(_SPEECH.format(number), coded.getvalue(), zipfile.ZIP_STORED)
        archive.writestr("samples.json", json.dumps(len(audio)))
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.name != "audio.npy":
                archive.write(path, path.name)
    return file.stat().st_size


def unpack(file: Path, folder: Path) -> None:
    """The reverse of `pack`; samples stay where they were."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file) as archive:
        total = int(json.loads(archive.read("samples.json")))
        blocks = []
        for number, start in enumerate(range(0, total, _BLOCK)):
            coded = io.BytesIO(archive.read(_SPEECH.format(number)))
            samples, _ = soundfile.read(coded, dtype="float32")
            wanted = min(_BLOCK, total - start)
            blocks.append(to_int16(np.pad(samples[:wanted], (0, max(0, wanted - len(samples))))))
        np.save(folder / "audio.npy", np.concatenate(blocks))
        for name in archive.namelist():
            if not name.endswith(".ogg") and name != "samples.json":
                (folder / Path(name).name).write_bytes(archive.read(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("pack", "unpack"))
    parser.add_argument("--data", type=Path, required=True, help="the prepared folder")
    parser.add_argument("--file", type=Path, required=True, help="the zip")
    arguments = parser.parse_args()
    if arguments.what == "pack":
        size = pack(arguments.data, arguments.file)
        print(json.dumps({"bytes": size, "mebibytes": round(size / 2**20, 1)}))
    else:
        unpack(arguments.file, arguments.data)


if __name__ == "__main__":
    main()
