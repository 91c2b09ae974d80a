"""The two public corpora: where their recordings lie, what they say, who speaks, what is held out."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .audio import Trim

# An early version of Chen Wang's syllables was not for commercial use. The one that lies there is CC BY-SA, but nothing
# is learnt from it: the evaluation hears it as a speaker the voice does not know.
NOT_LEARNT = ("chen-wang",)
_HELD_OUT = Path(__file__).with_name("held_out.json")
_SENTENCE_TRIM = Trim(threshold_db=42, margin_before_s=0.05, margin_after_s=0.10)
_WORD_TRIM = Trim(threshold_db=38, margin_before_s=0.03, margin_after_s=0.06)


@dataclass(frozen=True)
class Recording:
    """One file of a corpus; `text` is what is said (pinyin with a tone digit for syllables)."""

    id: str
    path: Path
    language: str
    speaker: str
    text: str
    trim: Trim
    held_out: bool


def find_recordings(kathleen: Path | None, audio_cmn: Path | None) -> list[Recording]:
    """Every usable recording of the checked-out corpora, in a fixed order."""
    held_out = json.loads(_HELD_OUT.read_text(encoding="utf-8"))
    found: list[Recording] = []
    if kathleen is not None:
        found += _kathleen(kathleen, set(held_out["arctic_prompts"]))
    if audio_cmn is not None:
        found += _words(audio_cmn, set(held_out["mandarin_words"]))
        found += _syllables(audio_cmn)
    return found


def _kathleen(root: Path, held_out: set[str]) -> Iterator[Recording]:
    """English: rhasspy/dataset-voice-kathleen (CC0), CMU Arctic prompts, several takes of some."""
    for text_path in sorted((root / "data").glob("*.txt")):
        prompt = re.fullmatch(r"arctic_([ab]\d+)_\d+", text_path.stem)
        if prompt is None:
            continue
        text = text_path.read_text(encoding="utf-8").strip()
        yield Recording(
            f"kathleen/{text_path.stem}", text_path.with_suffix(".wav"), "en", "kathleen", text,
            _SENTENCE_TRIM, prompt.group(1) in held_out,
        )  # fmt: skip


def _words(root: Path, held_out: set[str]) -> Iterator[Recording]:
    """Mandarin words: hugolpz/audio-cmn `hsk` (CC BY-SA, Yue Tan)."""
    for path in sorted((root / "64k" / "hsk").glob("cmn-*.mp3")):
        word = path.stem.removeprefix("cmn-")
        if re.fullmatch(r"[\u4e00-\u9fa5]{1,5}", word):
            yield Recording(f"hsk/{word}", path, "zh", "yue-tan", word, _WORD_TRIM, word in held_out)


def _syllables(root: Path) -> Iterator[Recording]:
    """Mandarin syllables: hugolpz/audio-cmn `syllabs` (CC BY-SA, Chen Wang)."""
    for path in sorted((root / "64k" / "syllabs").glob("cmn-*.mp3")):
        syllable = path.stem.removeprefix("cmn-").replace("ü", "v")
        if re.fullmatch(r"[a-z]+[1-5]", syllable):
            yield Recording(f"syllable/{syllable}", path, "zh", "chen-wang", syllable, _WORD_TRIM, False)
