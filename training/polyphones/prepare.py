"""Gathers Chinese sentences to learn from: python prepare.py REPOSITORIES CPP_DATA OUT.

REPOSITORIES holds clones (or their git directories) as owner/name; each file is read at the commit named here, so the
result is the same wherever it is made. Every source is under a licence without share-alike or non-commercial terms.
CPP_DATA is the folder `data` of github.com/kakaobrain/g2pM (Apache-2.0): its test sentences are left out wherever they occur.
Writes OUT: `source TAB sentence`, one a line, in a fixed order. The raw texts stay outside the repository.
"""

import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

HAN = re.compile(r"[\u4e00-\u9fa5]")
SENTENCE = re.compile(r"[^。！？!?…；\n]+[。！？!?…；]*[”」』’]?")
SHORTEST, LONGEST = 3, 120


def plain(text):
    return text.split("\n")


def wrapped(text):
    """Prose broken at a fixed width; a paragraph opens with an indent."""
    return re.sub(r"\n(?!\s)", "", text.replace("\r", "")).split("\n")


def tatoeba(text):
    return [line.split("\t")[2] for line in text.split("\n") if line.count("\t") == 2]


def segmented(text):
    return [line.replace(" ", "").replace("\ufeff", "") for line in text.split("\n")]


def transcript(text):
    return [line.split("\t")[2] for line in text.split("\n") if line.count("\t") == 2]


def kdconv(text):
    return [message["message"] for dialogue in json.loads(text) for message in dialogue["messages"]]


def crosswoz(text):
    return [message["content"] for dialogue in json.loads(text).values() for message in dialogue["messages"]]


def markdown(text):
    text = re.sub(r"^---\n.*?\n---\n", "", text, flags=re.S)
    text = re.sub(r"```.*?```|<[^>]*>", "\n", text, flags=re.S)
    lines = []
    for line in text.split("\n"):
        line = re.sub(r"!?\[([^\]]*)\](?:\([^)]*\)|\{[^}]*\})?", r"\1", line)
        line = re.sub(r"\{#[^}]*\}|^[\s>#*+\-|0-9.]+|[*`]", "", line)
        lines += line.split("|")
    return lines


# (name, repository, commit, paths, reader, licence and author)
SOURCES = [
    (
        "wikipedia",
        "mozilla/common-voice",
        "168898f413d7deb17d0ed665e8159abe877c7f19",
        r"server/data/zh-(CN/(wiki\.zh-cn|cn|sentence-collector)|TW/(sentence-collector|setences|taipei_city_gov))\.txt",
        plain,
        "CC0 1.0, contributors of Common Voice",
    ),
    (
        "tatoeba",
        "Roxaleen/hsk-annotated-corpus",
        "a9d25b68222d2fdf047de12937aa9f832de6bd8b",
        r"data/raw/sentences/tatoeba_cmn_sentences\.tsv",
        tatoeba,
        "CC BY 2.0 FR, contributors of tatoeba.org",
    ),
    (
        "chat",
        "502ping/RetrievalBased_Chatbot",
        "07a1eaae0683dd0f6b31682ab2cf2c6c6733b413",
        r"data_Q\.txt",
        segmented,
        "CC BY 3.0, Jing Li, Yan Song, Haisong Zhang, Shuming Shi (Tencent AI Lab)",
    ),
    (
        "talk",
        "thu-coai/KdConv",
        "653db76432de09a004ba708a68f8bbd5500e6bec",
        r"data/(film|music|travel)/(dev|test)\.json",
        kdconv,
        "Apache-2.0, Hao Zhou, Chujie Zheng, Kaili Huang, Minlie Huang, Xiaoyan Zhu",
    ),
    (
        "service",
        "thu-coai/CrossWOZ",
        "df82c9fdff91b9b130f2d6b89110d3870ba6260e",
        r"data/crosswoz/(val|test)\.json\.zip",
        crosswoz,
        "Apache-2.0, Qi Zhu, Kaili Huang, Zheng Zhang, Xiaoyan Zhu, Minlie Huang",
    ),
    (
        "news",
        "yuanzhouxue/DeepSpeechRecognition",
        "e2096301fe658873b59951c4f5a45fa3cbe4c181",
        r"data/(aishell_(dev|test)|thchs_(train|dev|test))\.txt",
        transcript,
        "Apache-2.0, AISHELL-1 (Beijing Shell Shell Technology) and THCHS-30 (Dong Wang, Xuewei Zhang, Zhiyong Zhang)",
    ),
    (
        "fiction",
        "tallusil/luxun-novel-analysis",
        "432ecfaa721f3f8a08268dabfc0a301ea3ffa50e",
        r"data/combined/.*\.txt",
        wrapped,
        "public domain, Lu Xun (1881-1936)",
    ),
    (
        "technology",
        "vuejs-translations/docs-zh-cn",
        "c2715ff75bae5376bc5bf212280ae76e30089fbd",
        r"src/.*\.md",
        markdown,
        "CC BY 4.0, Evan You and contributors of the Vue documentation",
    ),
    (
        "technology",
        "OfficeDev/msteams-docs.zh-CN",
        "e30268225b60288be53b215cb3d2c096c9fce6e0",
        r"msteams-platform/.*\.md",
        markdown,
        "CC BY 4.0, Microsoft and contributors",
    ),
    (
        "technology",
        "PaddlePaddle/docs",
        "46ceb37d54c1e4e994933424702031a073ec9100",
        r"docs/.*\.(md|rst)",
        markdown,
        "Apache-2.0, PaddlePaddle Authors",
    ),
]


def main():
    repositories, cpp, out = map(Path, sys.argv[1:4])
    seen = {bare(line) for line in (cpp / "test.sent").read_text("utf-8").split("\n")}
    counts = {}
    with open(out, "w", encoding="utf-8") as file:
        for name, repository, commit, paths, reader, _ in SOURCES:
            for path in files(repositories / repository, commit, paths):
                for sentence in sentences(reader(content(repositories / repository, commit, path))):
                    key = bare(sentence)
                    if key in seen:
                        continue
                    seen.add(key)
                    counts[name] = counts.get(name, 0) + 1
                    file.write(f"{name}\t{sentence}\n")
    print(counts, sum(counts.values()))


def sentences(lines):
    """Sentences of mostly Chinese text; what is left of a line after the last mark counts as one."""
    for line in lines:
        for found in SENTENCE.findall(re.sub(r"\s+", "", line) if HAN.search(line) else ""):
            han = len(HAN.findall(found))
            if han >= SHORTEST and len(found) <= LONGEST and han >= 0.6 * len(found):
                yield found


def bare(text):
    """What a sentence is told by: its characters without marks."""
    return "".join(re.findall(r"[\u4e00-\u9fa5a-zA-Z0-9]", text))


def files(repository, commit, pattern):
    listed = (
        git(repository, "-c", "core.quotepath=off", "ls-tree", "-r", "-z", "--name-only", commit).decode().split("\0")
    )
    return sorted(path for path in listed if re.fullmatch(pattern, path))


def content(repository, commit, path):
    data = git(repository, "show", f"{commit}:{path}")
    if path.endswith(".zip"):
        archive = zipfile.ZipFile(io.BytesIO(data))
        data = archive.read(archive.namelist()[0])
    return data.decode("utf-8-sig", errors="ignore")


def git(repository, *arguments):
    return subprocess.run(["git", "-C", str(repository), *arguments], check=True, capture_output=True).stdout


if __name__ == "__main__":
    main()
