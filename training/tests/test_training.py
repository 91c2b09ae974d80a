"""The three trainings on tiny data: they learn, and stopping and resuming changes nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from timbre_training.dataset import read_dataset
from timbre_training.run import Run
from timbre_training.sovits import SovitsSizes
from timbre_training.text2semantic import Text2SemanticSizes
from timbre_training.token_encoder import TokenEncoderSizes
from timbre_training.train_prior import PriorOptions, PriorTraining
from timbre_training.train_sovits import SovitsBatches, SovitsOptions, SovitsTraining, coloured
from timbre_training.train_text2semantic import Text2SemanticBatches, Text2SemanticOptions, Text2SemanticTraining
from timbre_training.train_token_encoder import (
    FrameExamples,
    TokenEncoderOptions,
    TokenEncoderTraining,
    phoneme_classes,
)
from timbre_training.utterances import read_corpus

CPU = torch.device("cpu")
SMALL_SOVITS = SovitsSizes(
    inter_channels=16, hidden_channels=16, filter_channels=16, n_layers=2, upsample_initial_channel=32, gin_channels=16,
    resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]],
)  # fmt: skip
SMALL_TEXT2SEMANTIC = Text2SemanticSizes(
    embedding_dim=32, hidden_dim=32, head=2, linear_units=32, n_layer=4, bert_dim=8
)
SMALL_ENCODER = TokenEncoderSizes(
    hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
    conv_dim=[16, 16, 16, 16, 16, 16, 32], num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
)  # fmt: skip
Stage = tuple[object, Callable[[int], dict[str, float]]]


def sovits(prepared: Path) -> Stage:
    options = SovitsOptions(batch=2, peak_rate=3e-3, warm_up=1)
    training = SovitsTraining(SMALL_SOVITS, options, CPU)
    training.use_quantiser(torch.load(prepared / "quantiser.pt", weights_only=True))
    make = SovitsBatches(read_corpus(prepared), SMALL_SOVITS, options)
    return training, lambda step: training.step(make(step), step)


def text2semantic(prepared: Path) -> Stage:
    options = Text2SemanticOptions(positions=300, warm_up=4, peak_rate=3e-3)
    training = Text2SemanticTraining(SMALL_TEXT2SEMANTIC, options, CPU)
    make = Text2SemanticBatches(read_corpus(prepared), np.load(prepared / "token_classes.npy"), options)
    return training, lambda step: training.step(make(step), step)


def token_encoder(prepared: Path) -> Stage:
    options = TokenEncoderOptions(batch=2, warm_up=4)
    dataset = read_dataset(prepared)
    classes = phoneme_classes(dataset.items)
    training = TokenEncoderTraining(SMALL_ENCODER, len(classes), options, CPU)
    make = FrameExamples(dataset, classes, options)
    return training, lambda step: training.step(*make(step), step)


def prior(prepared: Path) -> Stage:
    training = PriorTraining(SMALL_SOVITS, PriorOptions(batch=2, peak_rate=3e-3, warm_up=1), CPU)
    training.start_from(sovits(prepared)[0].state())
    corpus = read_corpus(prepared)
    training.fit_envelopes(corpus, utterances=6, steps=30)
    make = SovitsBatches(corpus, SMALL_SOVITS, SovitsOptions(batch=2, coloured=0.0))
    return training, lambda step: training.step(make(step), step)


STAGES = [sovits, prior, text2semantic, token_encoder]


@pytest.mark.parametrize("stage", STAGES)
def test_four_steps_are_two_steps_a_resumption_and_two_steps(
    stage: Callable[[Path], Stage], prepared: Path, tmp_path: Path
) -> None:
    def train(folder: Path, last_step: int) -> dict[str, torch.Tensor]:
        training, step_of = stage(prepared)
        run = Run(folder, seed=3, last_step=last_step, minutes=10)
        state = run.load()
        if state is not None:
            training.restore(state)
        for step in run.steps(training.state):
            run.note(step_of(step))
        return training.model.state_dict()

    whole = train(tmp_path / "whole", 4)
    train(tmp_path / "parts", 2)
    resumed = train(tmp_path / "parts", 4)
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


@pytest.mark.parametrize(
    ("stage", "loss", "steps"),
    [
        (sovits, "mel", 6),
        (prior, "cepstral", 12),
        (text2semantic, "entropy", 30),
        (token_encoder, "phoneme", 20),
    ],
)
def test_training_lowers_the_loss(
    stage: Callable[[Path], Stage], loss: str, steps: int, prepared: Path, tmp_path: Path
) -> None:
    _, step_of = stage(prepared)
    run = Run(tmp_path, seed=3, last_step=steps, minutes=10)
    losses = [step_of(step)[loss] for step in run.steps(dict, report_every=steps)]
    assert np.mean(losses[-3:]) < 0.95 * np.mean(losses[:3])


def test_a_prompt_the_encoder_heard_is_given_but_not_asked_for(prepared: Path) -> None:
    options = Text2SemanticOptions(positions=600, prompted=1.0, heard=1.0)
    make = Text2SemanticBatches(read_corpus(prepared), np.load(prepared / "token_classes.npy"), options)
    batch = make(0)
    asked = batch.weights.sum(dim=1)
    assert torch.all(asked < batch.token_lengths + 1)
    for row, count in enumerate(asked.int().tolist()):
        last = int(batch.token_lengths[row])
        assert torch.all(batch.weights[row, last + 1 - count : last + 1] == 1)
        # The prompt ends with what the encoder hears in the silence that serving appends, which no phoneme says.
        silence = slice(last + 1 - count - 7, last + 1 - count)
        assert torch.all(batch.tokens[row, silence] == 0)
        assert torch.all(batch.guide[row, silence] == -1)


def test_a_deadline_saves_and_ends_the_run(prepared: Path, tmp_path: Path) -> None:
    training, step_of = text2semantic(prepared)
    run = Run(tmp_path, seed=3, last_step=1000, minutes=0.02)
    for step in run.steps(training.state):
        step_of(step)
    assert run.step < 1000
    assert torch.load(run.checkpoint, weights_only=True)["step"] == run.step


def test_a_larger_speaker_says_the_same_tokens_more_slowly() -> None:
    time = np.arange(6400) / 16_000
    rng = np.random.default_rng(0)
    for _ in range(8):
        speech, places = coloured(np.sin(2 * np.pi * 300 * time).astype(np.float32), 10, rng)
        ratio = len(speech) / 6400
        assert abs(len(places) - 10 * ratio) < 1
        assert places[0] == 0
        assert places[-1] >= 8
        peak = np.abs(np.fft.rfft(speech * np.hanning(len(speech)))).argmax() * 16_000 / len(speech)
        assert peak == pytest.approx(300 / ratio, rel=0.02)


def test_the_new_speaker_of_the_evaluation_is_not_learnt_from(prepared: Path) -> None:
    dataset = read_dataset(prepared)
    items = [replace(item, speaker="chen-wang") if item.language == "zh" else item for item in dataset.items]
    examples = FrameExamples(replace(dataset, items=items), phoneme_classes(items), TokenEncoderOptions(batch=2))
    assert {item.language for group in examples.groups for item in group} == {"en"}
    samples, labels = examples(0)
    assert samples.shape == (2, 51_200)
    assert labels.shape == (2, 160)
