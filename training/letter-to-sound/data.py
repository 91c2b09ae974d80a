"""Reads a CMUdict file and splits it by word into training and held-out words, the same way every time."""

import hashlib
import re

WORD = re.compile(r"^[a-z][a-z']*$")


def read_dictionary(path):
    """CMUdict text (WORD  P H O N E S); first pronunciation of each plain word. Returns {word: (phone, ...)}."""
    words = {}
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith(";;;"):
                continue
            parts = line.split("#")[0].split()
            if len(parts) < 2:
                continue
            word = parts[0].lower()
            phones = tuple(part for part in parts[1:] if part != "-")
            if WORD.match(word) and word not in words and all(re.match(r"^[A-Z]{1,2}[012]?$", p) for p in phones):
                words[word] = phones
    return words


def held_out(word):
    """One word in ten, by a digest of the stem, so that an inflected form is held out together with its stem."""
    stem = re.sub(r"('s|s'|')$", "", word)
    stem = re.sub(r"(s|ed|ing|er|ers|ly|ness)$", "", stem) if len(stem) > 5 else stem
    return hashlib.sha1(stem.encode()).digest()[0] % 10 == 0
