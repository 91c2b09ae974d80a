"""Labels what prepare.py gathered: python dataset.py --help.

Learning examples are places in sentences, each with a distribution over the readings of its character:

- soft labels of g2pM's weights (teacher.py), mixed with what words and rules say (label.mts), which know everyday speech
  better than the teacher does;
- the words of the phrase table of pypinyin (MIT), alone and between pieces of other sentences, for readings that running
  text seldom has;
- for characters that running text seldom has, jieba's words (MIT) and what stands around them in the labelled sentences,
  between pieces of other sentences, with the teacher's opinion;
- the labelled sentences of the CPP dataset's `dev` part, less one in ten to choose by. Its `test` part is only measured with.

Half the sentences are written as normalisation leaves them: figures as characters, marks as commas, no quotes, no Latin.
"""

import argparse
import json
import random
import re
import unicodedata
from collections import defaultdict
from pathlib import Path

import numpy as np
from teacher import SENTENCE_ENDS, G2pM

PADDING, UNKNOWN, BEGIN, END = range(4)
MARK = "▁"
MOST_READINGS = 5
# Characters that occur less often stand for unknown ones.
LEAST_OCCURRENCES = 2
# Of one character with one reading no more than this is learnt.
MOST_EXAMPLES = 1500
# How much of a label is what words and rules say, the rest being the teacher's opinion: of characters that have rules of
# their own more than of others, and something even where neither word nor rule applies. The teacher wins where the gold
# sentences side with it.
WORDS, RARE_WORDS, USUAL = 0.85, 0.5, 0.25
# Characters that running text has less often than this get sentences made for them.
FEWEST_EXAMPLES = 250
# Words of the phrase table stand between pieces of sentences of such lengths.
SHORTEST_PIECE, LONGEST_PIECE = 6, 30
DIGITS = str.maketrans("0123456789", "零一二三四五六七八九")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path, required=True, help="what label.mts wrote for the corpus")
    parser.add_argument("--cpp", type=Path, required=True, help="dev and test of the CPP dataset")
    parser.add_argument("--cpp-labels", type=Path, required=True, help="folder with dev.labels, from label.mts")
    parser.add_argument("--phrases", type=Path, required=True, help="phrases_dict.json of pypinyin")
    parser.add_argument("--words", type=Path, required=True, help="dict.txt of jieba")
    parser.add_argument("--g2pm", type=Path, required=True, help="folder of the package g2pM")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    chance = random.Random(1)
    teacher = G2pM(arguments.g2pm)
    candidates = teacher.candidates

    gold = read_cpp(arguments.cpp, "dev")
    order = list(range(len(gold)))
    chance.shuffle(order)
    held = set(order[::10])

    corpus = read_labels(arguments.corpus)
    cpp_labels = read_labels(arguments.cpp_labels / "dev.labels")
    shares = word_shares(cpp_labels, gold, held, teacher)
    cpp_labels = [labels for number, labels in cpp_labels.items() if number not in held]
    examples = []
    for text, places in soft_labels([*corpus.values(), *cpp_labels], teacher, shares):
        examples += [(text, place, label, 1.0) for place, label in places]
    examples = balanced(examples, chance)
    pieces = [text for text, _ in corpus.values() if SHORTEST_PIECE <= len(text) <= LONGEST_PIECE]
    examples += phrase_examples(arguments.phrases, teacher, pieces, chance)
    train_gold = [example for number, example in enumerate(gold) if number not in held]
    examples += rare_examples(examples, arguments.words, train_gold, teacher, pieces, chance)
    labelled = [(text, at, one_hot(candidates[text[at]], label), 1.0) for text, at, label in gold]
    own = [labelled[i] for i in range(len(gold)) if i not in held]
    parts = {
        "soft": [varied(example, chance) for example in examples],
        "gold": [varied(example, chance, share) for example in own for share in (0, 1)],
        "held": [labelled[i] for i in sorted(held)],
        "test": [(t, at, one_hot(candidates[t[at]], label), 1.0) for t, at, label in read_cpp(arguments.cpp, "test")],
    }
    counts = defaultdict(int)
    for part in ("soft", "gold"):
        for text, *_ in parts[part]:
            for character in text:
                counts[character] += 1
    characters = ["<pad>", "<unk>", *SENTENCE_ENDS]
    characters += sorted(c for c, n in counts.items() if n >= LEAST_OCCURRENCES or c in candidates)
    index = {character: i for i, character in enumerate(characters)}
    arguments.out.mkdir(parents=True, exist_ok=True)
    for part, found in parts.items():
        write(arguments.out / f"{part}.npz", found, index)
        print(part, len(found))
    (arguments.out / "header.json").write_text(
        json.dumps(dict(characters=characters, candidates=candidates), ensure_ascii=False)
    )


def read_cpp(folder, part):
    """(text, place of the labelled character, reading) of each sentence."""
    sentences = (folder / f"{part}.sent").read_text("utf-8").strip().split("\n")
    labels = (folder / f"{part}.lb").read_text("utf-8").strip().split("\n")
    return [
        (sentence.replace(MARK, ""), sentence.index(MARK), label.replace("u:", "v"))
        for sentence, label in zip(sentences, labels, strict=True)
    ]


def read_labels(path):
    """(text, [(place, reading, source)]) of each line that has any, by its number."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file):
            text, labels = line.rstrip("\n").split("\t")
            if not labels or max(text) > "\uffff":
                continue
            fields = [label.split(":") for label in labels.split(" ")]
            found[number] = text, [(int(place), reading, source) for place, reading, source in fields]
    return found


def word_shares(labels, gold, held, teacher):
    """How much of a label is the words', by (source, character, the words' reading)."""
    # Who was right where they differed: positive for the words.
    votes = defaultdict(int)
    asked = [
        (number, reading, source)
        for number, (_, places) in labels.items()
        if number not in held
        for place, reading, source in places
        if place == gold[number][1]
    ]
    opinions = teacher.probabilities([(gold[number][0], [gold[number][1]]) for number, *_ in asked])
    for (number, reading, source), (opinion,) in zip(asked, opinions, strict=True):
        text, at, label = gold[number]
        readings = teacher.candidates[text[at]]
        theirs = readings[opinion.argmax()]
        if theirs != reading:
            votes[source, text[at], reading] += (label == reading) - (label == theirs)
    ruled = {text[place] for text, places in labels.values() for place, _, source in places if source == "rule"}

    def share(source, character, reading):
        if votes[source, character, reading] < 0:
            return 1 - WORDS
        if character in ruled:
            return USUAL if source == "single" else WORDS
        return 0 if source == "single" else WORDS if votes[source, character, reading] > 0 else RARE_WORDS

    return share


def soft_labels(sentences, teacher, shares):
    """(text, [(place, distribution)]): the teacher's opinion mixed with the words'."""
    known = [(text, [label for label in labels if text[label[0]] in teacher.candidates]) for text, labels in sentences]
    opinions = teacher.probabilities([(text, [place for place, *_ in labels]) for text, labels in known])
    for (text, labels), found in zip(known, opinions, strict=True):
        places = []
        for (place, reading, source), opinion in zip(labels, found, strict=True):
            readings = teacher.candidates[text[place]]
            if reading in readings:
                share = shares(source, text[place], reading)
                opinion = (1 - share) * opinion + share * one_hot(readings, reading)
            places.append((place, opinion))
        yield text, places


def one_hot(readings, reading):
    return np.array([float(each == reading) for each in readings], dtype=np.float32)


def balanced(examples, chance):
    """No more than MOST_EXAMPLES of a character with one reading, the sentences mixed."""
    chance.shuffle(examples)
    counts = defaultdict(int)
    kept = []
    for example in examples:
        text, place, label, _ = example
        key = (text[place], int(label.argmax()))
        counts[key] += 1
        if counts[key] <= MOST_EXAMPLES:
            kept.append(example)
    return kept


def phrase_examples(path, teacher, pieces, chance):
    """Words of the phrase table, each character of several readings in it, alone and between other text."""
    examples = []
    asked = []
    for word, readings in json.loads(path.read_text("utf-8")).items():
        if not 2 <= len(word) <= 8 or len(readings) != len(word) or max(word) > "\uffff":
            continue
        for place, character in enumerate(word):
            reading = numbered(readings[place][0])
            if reading in teacher.candidates.get(character, ()):
                asked.append((word, place, reading))
    chance.shuffle(asked)
    counts = defaultdict(int)
    for word, place, reading in asked:
        key = (word[place], reading)
        counts[key] += 1
        if counts[key] > MOST_EXAMPLES // 3:
            continue
        before, after = chance.choice(pieces), chance.choice(pieces)
        cut, end = chance.randrange(len(before)), chance.randrange(len(after))
        text, at = (word + "。", place) if chance.random() < 0.3 else (before[:cut] + word + after[end:], cut + place)
        examples.append((text, at, one_hot(teacher.candidates[word[place]], reading), 0.5))
    return examples


def rare_examples(examples, words, gold, teacher, pieces, chance):
    """Sentences made for characters that have few, with the teacher's opinion of them."""
    counts = defaultdict(int)
    for text, place, *_ in examples:
        counts[text[place]] += 1
    rare = {character for character in teacher.candidates if counts[character] < FEWEST_EXAMPLES}
    # What may stand around the character: a piece of text, its place there, and its label where one is known.
    cores = defaultdict(list)
    for line in words.read_text("utf-8").splitlines():
        word = line.split(" ")[0]
        for place, character in enumerate(word):
            if character in rare and len(word) > 1:
                cores[character].append((word, place, None))
    for text, at, label in gold:
        if text[at] in rare:
            for _ in range(10):
                left, right = chance.randrange(2, 9), chance.randrange(2, 9)
                start = max(0, at - left)
                cores[text[at]].append((text[start : at + right], at - start, label))
    made = []
    for character in sorted(rare):
        chance.shuffle(cores[character])
        for core, place, label in cores[character][: FEWEST_EXAMPLES - counts[character]]:
            before, after = chance.choice(pieces), chance.choice(pieces)
            cut, end = chance.randrange(len(before)), chance.randrange(len(after))
            made.append((before[:cut] + core + after[end:], cut + place, label))
    opinions = teacher.probabilities([(text, [at]) for text, at, _ in made])
    found = []
    for (text, at, label), (opinion,) in zip(made, opinions, strict=True):
        if label is not None:
            opinion = (opinion + one_hot(teacher.candidates[text[at]], label)) / 2
        found.append((text, at, opinion, 1.0))
    return found


def numbered(pinyin):
    """zhōng -> zhong1, lǜ -> lv4, de -> de5"""
    tone, letters = 5, ""
    for character in unicodedata.normalize("NFD", pinyin):
        if character in "\u0304\u0301\u030c\u0300":
            tone = "\u0304\u0301\u030c\u0300".index(character) + 1
        elif character == "\u0308":
            letters = letters[:-1] + "v"
        else:
            letters += character
    return f"{letters}{tone}"


def varied(example, chance, share=0.5):
    """The sentence as it stands, or as normalisation leaves it."""
    text, at, label, weight = example
    if chance.random() < share:
        before, own, after = (normal(part) for part in (text[:at], text[at], text[at + 1 :]))
        text, at = before + own + after, len(before)
    return text, at, label, weight


def normal(text):
    text = re.sub(r"[“”‘’「」『』《》〈〉\"'a-zA-Zａ-ｚＡ-Ｚ]+", "", text.translate(DIGITS))
    return re.sub(r"[、；：:;,()（）【】\[\]—~～·-]+", "，", text)


def write(path, examples, index):
    ids = [np.array([index.get(c, UNKNOWN) for c in text], dtype=np.uint16) for text, *_ in examples]
    starts = np.zeros(len(ids) + 1, dtype=np.int32)
    starts[1:] = np.cumsum([len(row) for row in ids])
    labels = np.zeros((len(examples), MOST_READINGS), dtype=np.float32)
    for row, (_, _, label, _) in enumerate(examples):
        labels[row, : len(label)] = label
    np.savez(
        path,
        ids=np.concatenate(ids),
        starts=starts,
        at=np.array([at for _, at, *_ in examples], dtype=np.int32),
        labels=labels,
        weights=np.array([weight for *_, weight in examples], dtype=np.float32),
    )


if __name__ == "__main__":
    main()
