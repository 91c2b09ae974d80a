"""The recipe of the Chinese polyphone model, on a language of twelve characters."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "polyphones"))
import dataset
import prepare
import train
from teacher import SENTENCE_ENDS, G2pM


def test_cuts_text_into_sentences_of_mostly_chinese_text():
    lines = ["他来了。你 呢？Hello world, 好", "", "好", "一二三四五；六七八"]
    assert list(prepare.sentences(lines)) == ["他来了。", "一二三四五；", "六七八"]


def test_takes_prose_out_of_markdown():
    text = "---\ntitle: 无\n---\n## 标题 {#a}\n请看[这一页](http://a.b)和`代码`。\n```\n不要\n```\n| 左边 | 右边 |"
    found = [line.strip() for line in prepare.markdown(text) if line.strip()]
    assert found == ["标题", "请看这一页和代码。", "左边", "右边"]


def test_reads_a_repository_at_a_commit(tmp_path):
    def git(*arguments):
        return subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    git("init", "-q")
    (tmp_path / "呐喊.txt").write_text("早先的文字", "utf-8")
    git("add", ".")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD")
    (tmp_path / "呐喊.txt").write_text("后来的文字", "utf-8")
    git("commit", "-qam", "second")
    assert prepare.files(tmp_path, commit, r".*\.txt") == ["呐喊.txt"]
    assert prepare.content(tmp_path, commit, "呐喊.txt") == "早先的文字"


@pytest.mark.parametrize(
    ("pinyin", "expected"), [("zhōng", "zhong1"), ("lǜ", "lv4"), ("de", "de5"), ("nǚ", "nv3"), ("háng", "hang2")]
)
def test_writes_tones_as_numbers(pinyin, expected):
    assert dataset.numbered(pinyin) == expected


def test_writes_a_sentence_as_normalisation_leaves_it_and_keeps_the_place():
    example = ("“银行”1990年、abc开门", 2, np.array([1.0]), 1.0)
    text, at, *_ = dataset.varied(example, Always(), share=1)
    assert text == "银行一九九零年，开门"
    assert text[at] == "行"


class Always:
    """Chance that always falls below."""

    def random(self):
        return 0.0


CHARACTERS = "银行走长大人很路数字请一"
READINGS = {"行": ["hang2", "xing2"], "长": ["chang2", "zhang3"], "数": ["shu3", "shu4"]}


@pytest.fixture
def teacher_folder(tmp_path):
    """A package of the shape of g2pM's, with weights by chance."""
    chance = np.random.default_rng(1)
    classes = sorted({reading for known in READINGS.values() for reading in known})
    index = {c: i for i, c in enumerate(["<PAD>", "<UNK>", *SENTENCE_ENDS, *CHARACTERS])}

    def shape(*size):
        return chance.standard_normal(size).astype(np.float32)

    weights = {"embedding.weight": shape(len(index), 4)}
    for suffix in ("", "_reverse"):
        weights |= {f"lstm.weight_ih_l0{suffix}": shape(12, 4), f"lstm.weight_hh_l0{suffix}": shape(12, 3)}
        weights |= {f"lstm.bias_ih_l0{suffix}": shape(12), f"lstm.bias_hh_l0{suffix}": shape(12)}
    weights |= {"logit_layer.0.weight": shape(3, 6), "logit_layer.0.bias": shape(3)}
    weights |= {"logit_layer.2.weight": shape(len(classes), 3), "logit_layer.2.bias": shape(len(classes))}
    folder = tmp_path / "g2pM"
    folder.mkdir()
    parts = {
        "char2idx": index,
        "class2idx": {name: i for i, name in enumerate(classes)},
        "np_ckpt": weights,
        "digest_cedict": READINGS,
    }
    for name, value in parts.items():
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(value))
    return folder


def test_the_teacher_thinks_the_same_of_a_sentence_alone_and_in_company(teacher_folder):
    teacher = G2pM(teacher_folder)
    (alone,) = teacher.probabilities([("银行很大", [1])])
    many = list(teacher.probabilities([("长路", [0]), ("银行很大", [1]), ("请数一数数字", [1, 3, 4])]))
    np.testing.assert_allclose(many[1][0], alone[0], rtol=1e-5)
    assert [len(found) for found in many] == [1, 1, 3]
    assert alone[0].sum() == pytest.approx(1)


def test_words_win_unless_the_gold_sentences_side_with_the_teacher(teacher_folder):
    teacher = G2pM(teacher_folder)
    (opinion,) = teacher.probabilities([("银行很大", [1])])
    theirs = READINGS["行"][opinion[0].argmax()]
    other = next(reading for reading in READINGS["行"] if reading != theirs)
    labels = {0: ("银行很大", [(1, other, "phrase")])}
    for gold, expected in ((other, dataset.WORDS), (theirs, 1 - dataset.WORDS)):
        share = dataset.word_shares(labels, [("银行很大", 1, gold)], set(), teacher)
        assert share("phrase", "行", other) == pytest.approx(expected)
    assert dataset.word_shares(labels, [("银行很大", 1, other)], {0}, teacher)("single", "长", "chang2") == 0


def test_no_reading_is_learnt_more_often_than_it_may_be(monkeypatch):
    monkeypatch.setattr(dataset, "MOST_EXAMPLES", 2)
    examples = [("银行", 1, np.array([1.0, 0.0]), 1.0)] * 5 + [("行走", 0, np.array([0.0, 1.0]), 1.0)]
    assert len(dataset.balanced(examples, dataset.random.Random(1))) == 3


def test_makes_sentences_for_characters_that_have_few(teacher_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "FEWEST_EXAMPLES", 4)
    (tmp_path / "dict.txt").write_text("长路 9 n\n路长 5 n\n银行 2 n\n", "utf-8")
    there = [("行走", 0, np.array([0.0, 1.0]), 1.0)] * 4
    gold = [("人走长路", 2, "chang2")]
    chance = dataset.random.Random(1)
    made = dataset.rare_examples(there, tmp_path / "dict.txt", gold, G2pM(teacher_folder), ["请很大"], chance)
    assert [text[at] for text, at, *_ in made] == ["长"] * 4
    assert all(label.sum() == pytest.approx(1) for _, _, label, _ in made)


@pytest.fixture
def learnt(tmp_path, teacher_folder, monkeypatch):
    sentences = [("银▁行▁很大", "hang2"), ("人▁行▁走", "xing2"), ("路很▁长▁", "chang2"), ("▁长▁大一人", "zhang3")] * 5
    for part in ("dev", "test"):
        (tmp_path / f"{part}.sent").write_text("\n".join(text for text, _ in sentences), "utf-8")
        (tmp_path / f"{part}.lb").write_text("\n".join(label for _, label in sentences), "utf-8")
    lines = [f"{t.replace('▁', '')}\t{t.index('▁')}:{label}:phrase" for t, label in sentences]
    (tmp_path / "dev.labels").write_text("\n".join(lines), "utf-8")
    (tmp_path / "corpus.labels").write_text(
        "\n".join(["请数一数字\t1:shu3:rule 3:shu4:phrase"] * 8 + ["大人\t"]), "utf-8"
    )
    (tmp_path / "dict.txt").write_text("银行 9 n\n大路 5 n\n长路 2 n\n", "utf-8")
    (tmp_path / "phrases.json").write_text(json.dumps({"银行": [["yín"], ["háng"]], "长大": [["zhǎng"], ["dà"]]}))
    monkeypatch.setattr(dataset, "SHORTEST_PIECE", 3)
    options = dict(corpus="corpus.labels", cpp="", phrases="phrases.json", words="dict.txt", g2pm="g2pM", out="data")
    options["cpp-labels"] = ""
    arguments = [f"--{name}={tmp_path / value}" for name, value in options.items()]
    monkeypatch.setattr(sys, "argv", ["dataset.py", *arguments])
    dataset.main()

    def run(name):
        out = tmp_path / name
        options = ["--steps", "60", "--batch", "8", "--gold", "4"]
        monkeypatch.setattr(sys, "argv", ["train.py", str(tmp_path / "data"), str(out), *options])
        train.main()
        return out

    return run


def test_learns_what_it_is_told_and_the_same_each_time(learnt, capsys):
    first = learnt("first")
    assert "test: 100.00% of" in capsys.readouterr().out
    header = json.loads((first / "header.json").read_text("utf-8"))
    assert header["readings"] == READINGS
    sizes = {"int8": 1, "float32": 4}
    written = (first / "tensors.bin").stat().st_size
    assert written == sum(sizes[tensor["type"]] * tensor["length"] for tensor in header["layout"])
    assert (learnt("second") / "tensors.bin").read_bytes() == (first / "tensors.bin").read_bytes()
