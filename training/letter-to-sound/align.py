"""Aligns each word's letters with its phones: every letter takes 0 to 3 phones, in order.

Hard expectation-maximisation (Viterbi training) on letter -> chunk probabilities, stress ignored while aligning.
Monotonic one-letter-one-chunk alignments turn letter-to-sound into tagging, so that a served word can never loop or run
away: it gets exactly as many decoding steps as it has letters.
"""

import math
from collections import Counter, defaultdict

MAX_PHONES = 3
# Added to log-probabilities: keeps the first passes near one phone a letter.
LENGTH_PRIOR = (-2.5, 0.0, -3.0, -6.0)


def bare(phones):
    return tuple(phone.rstrip("012") for phone in phones)


def best_path(letters, phones, logprob, floor):
    """Viterbi over (letters used, phones used); returns chunk lengths per letter, or None if the word cannot align."""
    n, m = len(letters), len(phones)
    if m > n * MAX_PHONES:
        return None
    score = [[-math.inf] * (m + 1) for _ in range(n + 1)]
    back = [[0] * (m + 1) for _ in range(n + 1)]
    score[0][0] = 0.0
    for i in range(n):
        table = logprob[letters[i]]
        row, after, marks = score[i], score[i + 1], back[i + 1]
        for j in range(m + 1):
            here = row[j]
            if here == -math.inf:
                continue
            for k in range(0, min(MAX_PHONES, m - j) + 1):
                value = here + table.get(phones[j : j + k], floor) + LENGTH_PRIOR[k]
                if value > after[j + k]:
                    after[j + k] = value
                    marks[j + k] = k
    if score[n][m] == -math.inf:
        return None
    lengths, j = [], m
    for i in range(n, 0, -1):
        lengths.append(back[i][j])
        j -= back[i][j]
    return lengths[::-1]


def align(entries, passes=5):
    """entries: [(word, phones)]; returns [(word, [chunk, ...])] with one chunk (a tuple of phones) a letter."""
    counts = defaultdict(Counter)
    for word, phones in entries:  # Diagonal start: a letter meets the phones near its relative position.
        simple = bare(phones)
        for i, letter in enumerate(word):
            centre = i * len(simple) / len(word)
            for j in range(max(0, int(centre) - 1), min(len(simple), int(centre) + 2)):
                counts[letter][simple[j : j + 1]] += 1
            counts[letter][()] += 0.5
    for _ in range(passes):
        logprob = {
            letter: {chunk: math.log(count / sum(table.values())) for chunk, count in table.items()}
            for letter, table in counts.items()
        }
        counts = defaultdict(Counter)
        paths = []
        for word, phones in entries:
            simple = bare(phones)
            lengths = best_path(word, simple, logprob, floor=-9.0)
            paths.append(lengths)
            if lengths is None:
                continue
            j = 0
            for letter, k in zip(word, lengths):
                counts[letter][simple[j : j + k]] += 1
                j += k
    aligned = []
    for (word, phones), lengths in zip(entries, paths):
        if lengths is None:
            aligned.append((word, None))
            continue
        chunks, j = [], 0
        for k in lengths:
            chunks.append(tuple(phones[j : j + k]))
            j += k
        aligned.append((word, chunks))
    return aligned
