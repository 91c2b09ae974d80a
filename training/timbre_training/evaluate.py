"""Figures of exported models on held-out recordings: `python -m timbre_training.evaluate --models DIR --data DIR ...`.

`human` are the recordings, `rebuilt` is the posterior encoder's latent through the decoder, `copy` is the recording's own
tokens through SoVITS, `made` is the whole chain from phonemes without a prompt, `prompted` with a reference recording.
"""

import argparse
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .align import Chain, best_paths
from .audio import SAMPLE_RATE_HZ
from .generate import Sampling, generate
from .measures import recognise_english, voicing, word_errors
from .run import choose_device
from .sovits import Sovits, SovitsSizes
from .spectrogram import log_mel, magnitude
from .text2semantic import Text2Semantic, Text2SemanticSizes
from .token_encoder import TokenEncoder, read_token_encoder
from .utterances import Corpus, Utterance, read_corpus, samples_of


@dataclass(frozen=True)
class Voice:
    """Exported models, with the posterior encoder from the run where there is one."""

    text2semantic: Text2Semantic
    sovits: Sovits
    encoder: TokenEncoder
    has_posterior: bool


def read_voice(folder: Path, sovits_run: Path | None) -> Voice:
    """Reads s1.ckpt, s2.pth and token-encoder/ of a folder; sizes come from the files."""
    stored = torch.load(folder / "s1.ckpt", map_location="cpu", weights_only=True)
    sizes = {name: stored["config"]["model"][name] for name in ("linear_units", "n_layer", "head", "hidden_dim")}
    text2semantic = Text2Semantic(Text2SemanticSizes(embedding_dim=sizes["hidden_dim"], **sizes)).eval()
    text2semantic.load_state_dict(
        {name.removeprefix("model."): value.float() for name, value in stored["weight"].items()}
    )
    stored = torch.load(folder / "s2.pth", map_location="cpu", weights_only=True)
    sovits = Sovits(SovitsSizes(filter_channels=stored["config"]["model"]["filter_channels"])).eval()
    weights = {name: value.float() for name, value in stored["weight"].items()}
    if sovits_run is not None:
        run = torch.load(sovits_run / "checkpoint.pt", map_location="cpu", weights_only=True)["average"]
        weights |= {name: value for name, value in run.items() if name.startswith("enc_q.")}
    sovits.load_state_dict(weights, strict=False)
    return Voice(text2semantic, sovits, read_token_encoder(folder / "token-encoder").eval(), sovits_run is not None)


@torch.no_grad()
def versions(
    voice: Voice, corpus: Corpus, one: Utterance, reference: Utterance, sampling: Sampling
) -> dict[str, object]:
    """The waveforms of one held-out utterance, and what generation did."""
    sovits = voice.sovits
    human = torch.from_numpy(samples_of(one, corpus.audio, np.random.default_rng(0)))
    other = torch.from_numpy(samples_of(reference, corpus.audio, np.random.default_rng(0)))
    spectrogram = magnitude(other[None], sovits.sizes.filter_length, sovits.sizes.hop_length)
    phonemes = torch.tensor(one.ids)
    made: dict[str, Tensor] = {"human": human}
    torch.manual_seed(one.id)
    if voice.has_posterior:
        own = magnitude(human[None], sovits.sizes.filter_length, sovits.sizes.hop_length)
        mask = torch.ones(1, 1, own.shape[2])
        ge = sovits.global_embedding(own, mask)
        made["rebuilt"] = sovits.dec(sovits.enc_q(own, mask, ge)[0], ge)[0, 0]
    tail = torch.zeros(SAMPLE_RATE_HZ // 10)
    heard = sovits.extract_tokens(voice.encoder(torch.cat([human, tail])[None]).transpose(1, 2))[0]
    made["copy"] = sovits.decode(heard[None], phonemes[None], spectrogram, 0.35)[0, 0]
    free, free_ended = generate(voice.text2semantic, phonemes, heard[:0], sampling, seed=one.id)
    prompt = sovits.extract_tokens(voice.encoder(torch.cat([other, tail])[None]).transpose(1, 2))[0]
    both = torch.tensor(reference.ids + one.ids)
    prompted, prompted_ended = generate(voice.text2semantic, both, prompt, sampling, seed=one.id)
    for name, tokens in (("made", free), ("prompted", prompted)):
        spoken = tokens if len(tokens) else torch.zeros(4, dtype=torch.long)
        made[name] = sovits.decode(spoken[None], phonemes[None], spectrogram, 0.35)[0, 0]
    return {
        "waves": {name: wave.numpy() for name, wave in made.items()},
        "ended": {"made": free_ended, "prompted": prompted_ended},
        "tokens": {"made": len(free), "prompted": len(prompted), "human": len(one.aligned)},
    }  # fmt: skip


def identify(scores: np.ndarray, candidates: list[list[int]]) -> int:
    """Which class sequence, silence allowed at both ends, fits frame scores [frames, classes] best."""
    chains = [
        Chain(np.array([0, *one, 0]), np.array([-1, *range(len(one)), -1]), np.zeros(len(one) + 2, dtype=np.float32))
        for one in candidates
    ]
    totals = []
    for chain, path in zip(chains, best_paths([scores] * len(chains), chains), strict=True):
        totals.append(float(scores[np.arange(len(path)), chain.states[path]].sum()))
    return int(np.argmax(totals))


class Listener:
    """The project's own recogniser of Mandarin words: a frame classifier and the closed set of held-out words."""

    def __init__(self, run: Path, corpus: Corpus, symbols: dict[int, str]) -> None:
        state = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)["average"]
        classes = json.loads((run / "classes.json").read_text(encoding="utf-8"))
        width = state["heads.phoneme.weight"].shape[1]
        self.head = nn.Linear(width, len(classes))
        self.head.load_state_dict({"weight": state["heads.phoneme.weight"], "bias": state["heads.phoneme.bias"]})
        numbers = {symbol: number for number, symbol in enumerate(classes)}
        self.words = [one for one in corpus.utterances if one.held_out and one.language == "zh"]
        self.candidates = [[numbers[symbols[i]] for i in one.ids if symbols.get(i) in numbers] for one in self.words]
        counts = Counter(
            i for one in corpus.utterances[::5] for a in one.aligned for i in [one.ids[a] if a >= 0 else -1]
        )
        prior = np.ones(len(classes))
        for number, count in counts.items():
            prior[numbers.get(symbols.get(number, ""), 0)] += count
        self.prior = 0.6 * np.log(prior / prior.sum())

    @torch.no_grad()
    def hears(self, encoder: TokenEncoder, samples: np.ndarray, word: Utterance) -> bool:
        """Whether the word fits better than the other held-out ones."""
        scores = F.log_softmax(self.head(encoder(torch.from_numpy(samples)[None])[0]), dim=-1).numpy() - self.prior
        return self.words[identify(scores.astype(np.float32), self.candidates)].ids == word.ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder of s1.ckpt, s2.pth and token-encoder/")
    parser.add_argument("--data", type=Path, required=True, help="prepared folder with tokens")
    parser.add_argument("--runs", type=Path, help="folder of the runs: posterior encoder and frame classifier")
    parser.add_argument("--waves", type=Path, help="where to write the waveforms")
    parser.add_argument("--sentences", type=int, default=10)
    parser.add_argument("--words", type=int, default=30)
    parser.add_argument("--temperature", type=float, default=0.4)
    parser.add_argument("--repetition-penalty", type=float, default=1.0)
    arguments = parser.parse_args()
    choose_device("cpu", 1)
    corpus = read_corpus(arguments.data)
    voice = read_voice(arguments.models, arguments.runs and arguments.runs / "sovits")
    symbols = {
        i: p
        for item in _lines(arguments.data / "items.jsonl")
        for p, i in zip(item["phonemes"], item["ids"], strict=True)
    }
    listener = Listener(arguments.runs / "token_encoder", corpus, symbols) if arguments.runs else None
    sampling = Sampling(temperature=arguments.temperature, repetition_penalty=arguments.repetition_penalty)
    sums: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for language, count in (("en", arguments.sentences), ("zh", arguments.words)):
        chosen = _different([one for one in corpus.utterances if one.held_out and one.language == language])[:count]
        reference = next(
            one
            for one in corpus.utterances
            if not one.held_out and one.language == language and 80 < len(one.aligned) < 110
        )
        for one in chosen:
            result = versions(voice, corpus, one, reference, sampling)
            real = torch.from_numpy(result["waves"]["human"])
            for name, wave in result["waves"].items():
                figures = sums[f"{language} {name}"]
                heard = voicing(wave)
                figures["voiced"].append(heard.share)
                figures["harmonics_db"].append(heard.harmonics_db)
                figures["pitch_hz"].append(heard.pitch_hz)
                if name in ("rebuilt", "copy"):
                    figures["mel_distance"].append(_mel_distance(real, torch.from_numpy(wave)))
                if name in result["ended"]:
                    figures["ended"].append(float(result["ended"][name]))
                    figures["length_ratio"].append(result["tokens"][name] / result["tokens"]["human"])
                if language == "en":
                    text = recognise_english(wave)
                    wrong, words = word_errors(one.text, text)
                    figures["_wrong"].append(wrong)
                    figures["_words"].append(words)
                elif listener is not None:
                    figures["identified"].append(float(listener.hears(voice.encoder, wave, one)))
                if arguments.waves is not None:
                    arguments.waves.mkdir(parents=True, exist_ok=True)
                    soundfile.write(arguments.waves / f"{language}-{one.id}-{name}.wav", wave, SAMPLE_RATE_HZ)
    report = {}
    for version, figures in sums.items():
        report[version] = {n: round(float(np.mean(v)), 3) for n, v in figures.items() if not n.startswith("_")}
        if "_words" in figures:
            report[version]["word_error"] = round(sum(figures["_wrong"]) / sum(figures["_words"]), 3)
    print(json.dumps(report, indent=1))


def _mel_distance(real: Tensor, made: Tensor) -> float:
    count = min(len(real), len(made))
    bands = [log_mel(x[None, :count], 1024, 160, 80, SAMPLE_RATE_HZ) for x in (real, made)]
    return float(F.l1_loss(*bands))


def _different(utterances: list[Utterance]) -> list[Utterance]:
    return list({one.text: one for one in utterances}.values())


def _lines(path: Path) -> list[dict[str, list]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
