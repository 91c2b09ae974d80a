"""A prepared folder as a few small files, to carry to a machine with a GPU: `python -m timbre_training.pack pack|unpack ...`.

Speech is stored as Opus at 26 kbit/s, everything else as it is: 4.8 hours take less than 64 MiB, in parts of any size.
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

_BLOCK = SAMPLE_RATE_HZ * 300
# libsndfile spreads 256 down to 6 kbit/s over 0 to 1.
_COMPRESSION = 0.92
_SPEECH = "speech-{:04}.ogg"


def pack(folder: Path, output: Path, part_bytes: int) -> list[Path]:
    """Writes a prepared folder into `output` as part-0.zip, part-1.zip, ..., none much longer than `part_bytes`."""
    output.mkdir(parents=True, exist_ok=True)
    audio = np.load(folder / "audio.npy", mmap_mode="r")
    parts = [output / "part-0.zip"]
    with zipfile.ZipFile(parts[0], "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("samples.json", json.dumps(len(audio)))
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.name != "audio.npy":
                archive.write(path, path.name)
    for number, start in enumerate(range(0, len(audio), _BLOCK)):
        coded = io.BytesIO()
        block = np.asarray(audio[start : start + _BLOCK])
        soundfile.write(coded, block, SAMPLE_RATE_HZ, format="OGG", subtype="OPUS", compression_level=_COMPRESSION)
        if parts[-1].stat().st_size + len(coded.getvalue()) > part_bytes:
            parts.append(output / f"part-{len(parts)}.zip")
        with zipfile.ZipFile(parts[-1], "a", zipfile.ZIP_STORED) as archive:
            archive.writestr(_SPEECH.format(number), coded.getvalue())
    return parts


def unpack(packed: Path, folder: Path) -> None:
    """The reverse of `pack`, from a folder with all parts; every sample is where it was.

    Raises ValueError where a part is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    speech: dict[str, bytes] = {}
    for part in sorted(packed.glob("part-*.zip")):
        with zipfile.ZipFile(part) as archive:
            for name in archive.namelist():
                if name.endswith(".ogg"):
                    speech[name] = archive.read(name)
                else:
                    (folder / Path(name).name).write_bytes(archive.read(name))
    counted = folder / "samples.json"
    if not counted.exists():
        raise ValueError(f"{packed} has no part-0.zip; expected every part that pack wrote")
    total = int(json.loads(counted.read_text(encoding="utf-8")))
    counted.unlink()
    starts = range(0, total, _BLOCK)
    missing = [number for number in range(len(starts)) if _SPEECH.format(number) not in speech]
    if missing:
        raise ValueError(f"{packed} lacks speech blocks {missing[:5]} of {len(starts)}; expected every part")
    blocks = []
    for number, start in enumerate(starts):
        samples, _ = soundfile.read(io.BytesIO(speech[_SPEECH.format(number)]), dtype="float32")
        wanted = min(_BLOCK, total - start)
        blocks.append(to_int16(np.pad(samples[:wanted], (0, max(0, wanted - len(samples))))))
    np.save(folder / "audio.npy", np.concatenate(blocks))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("pack", "unpack"))
    parser.add_argument("--data", type=Path, required=True, help="the prepared folder")
    parser.add_argument("--packed", type=Path, required=True, help="folder of part-0.zip, part-1.zip, ...")
    parser.add_argument("--part-mebibytes", type=float, default=60)
    arguments = parser.parse_args()
    if arguments.what == "pack":
        parts = pack(arguments.data, arguments.packed, int(arguments.part_mebibytes * 2**20))
        print(json.dumps({part.name: part.stat().st_size for part in parts}))
    else:
        unpack(arguments.packed, arguments.data)


if __name__ == "__main__":
    main()
