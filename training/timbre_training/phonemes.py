"""Phonemes of the recordings' texts, read from the JSON lines the product's own text front end writes."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PUNCTUATION = frozenset("!?…,.-")


@dataclass(frozen=True)
class Phonemes:
    """Symbols of one text and their ids in the v2 symbol table; always ends with punctuation."""

    symbols: list[str]
    ids: list[int]


def read_phonemes(path: Path) -> dict[str, Phonemes]:
    """Phonemes by recording id from lines of {id, phonemes, ids}; the full stop is added where a text has no ending.

    Raises ValueError where a line is malformed or a symbol has two ids.
    """
    ids: dict[str, int] = {}
    table: dict[str, Phonemes] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        row = json.loads(line)
        symbols, numbers = list(row["phonemes"]), list(row["ids"])
        if len(symbols) != len(numbers):
            raise ValueError(f"{path}:{number}: {len(symbols)} phonemes but {len(numbers)} ids; write the file anew")
        for symbol, value in zip(symbols, numbers, strict=True):
            if ids.setdefault(symbol, value) != value:
                raise ValueError(f"{path}:{number}: {symbol} has id {value}, earlier lines say {ids[symbol]}")
        table[row["id"]] = Phonemes(symbols, numbers)
    stop = ids.get(".")
    for entry in table.values():
        if entry.symbols and entry.symbols[-1] not in PUNCTUATION and stop is not None:
            entry.symbols.append(".")
            entry.ids.append(stop)
    return table


def without_tone_or_stress(symbol: str) -> str:
    """The symbol's sound alone: 'ong1' and 'ong4' become 'ong', 'AH0' becomes 'AH'."""
    return symbol.rstrip("012345")


def spoken(symbols: Iterable[str]) -> list[str]:
    """The symbols that are sounds, without punctuation."""
    return [symbol for symbol in symbols if symbol not in PUNCTUATION]
