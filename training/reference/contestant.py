"""The reference's contestant of the race: upstream's own modules, in float32 on a processor.

`bench/race/race.ts` starts it with the Python of TIMBRE_REFERENCE_PYTHON and tells it what to run, a JSON object a line
(`bench/race/contestant.ts`); every line is answered with one. Arguments: checkout of RVC-Boss/GPT-SoVITS, checkpoint of
text-to-semantic, checkpoint of SoVITS, threads.

What is asked of upstream is what its own server does (`TTS_infer_pack/TTS.py`): a batch of several sentences goes through
`infer_panel_batch_infer`, one through `infer_panel_naive`, whole sentences through `decode`; the first packet through its
streaming of fixed chunks (`streaming_mode`, 16 tokens and 2 of overlap) and `decode_streaming`. Weight norm is taken out of
the generator, which its server does not do and which makes it faster.
"""

import contextlib
import io
import json
import resource
import sys
import time
import types

import torch

PHONEMES, PROMPT_TOKENS, TOKENS = 60, 100, 150
CHUNK_TOKENS = 16
REFERENCE_FRAMES = 200
SPEAKER_WIDTH = 20_480


class HParams:
    """Stands for upstream's class of this name in pickles: a config whose sections are attributes."""


def plain(value):
    """A config of HParams or dictionaries as dictionaries."""
    if isinstance(value, HParams):
        value = vars(value)
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def load(path: str) -> dict:
    """A checkpoint of the official formats; later versions carry a tag where a zip archive begins."""
    utils = types.ModuleType("utils")
    utils.HParams = HParams
    HParams.__module__ = "utils"
    present, sys.modules["utils"] = sys.modules.get("utils"), utils
    try:
        with open(path, "rb") as file:
            file.seek(2)
            data = io.BytesIO(b"PK" + file.read())
        return torch.load(data, map_location="cpu", weights_only=False)
    finally:
        if present is None:
            del sys.modules["utils"]
        else:
            sys.modules["utils"] = present


class Reference:
    """Both networks and the sentence of the race."""

    def __init__(self, checkout: str, t2s_path: str, sovits_path: str):
        sys.path[:0] = [f"{checkout}/GPT_SoVITS", checkout]
        from AR.models.t2s_model import Text2SemanticDecoder
        from module.models import SynthesizerTrn

        t2s = load(t2s_path)
        self.t2s = Text2SemanticDecoder(config=plain(t2s["config"]), top_k=3)
        self.t2s.load_state_dict({name.removeprefix("model."): value for name, value in t2s["weight"].items()})
        self.t2s.float().eval()
        # Random weights draw the end now and then; a heat is of as many tokens as were asked for.
        self.t2s.EOS = -1

        sovits = load(sovits_path)
        config = plain(sovits["config"])
        data, model = config["data"], config["model"]
        self.hop = data["hop_length"]
        self.rate = data["sampling_rate"]
        self.pro = "Pro" in model["version"]
        self.sovits = SynthesizerTrn(
            data["filter_length"] // 2 + 1,
            config["train"]["segment_size"] // self.hop,
            n_speakers=data["n_speakers"],
            **model,
        )
        if hasattr(self.sovits, "enc_q"):
            del self.sovits.enc_q
        missing, _ = self.sovits.load_state_dict(sovits["weight"], strict=False)
        if missing:
            raise SystemExit(f"the checkpoint lacks {len(missing)} tensors of upstream's model, such as {missing[0]}")
        self.sovits.float().eval()
        self.sovits.dec.remove_weight_norm()

        self.phonemes = torch.arange(PHONEMES) * 11 % self.t2s.phoneme_vocab_size
        self.prompt = torch.arange(PROMPT_TOKENS) * 37 % 1024
        self.bert = torch.zeros(1024, PHONEMES)
        self.spectrum = torch.rand(1, data["filter_length"] // 2 + 1, REFERENCE_FRAMES)
        self.speaker = torch.randn(1, SPEAKER_WIDTH)
        self.prefill_ended = 0.0
        self._time_prefill()

    def _time_prefill(self) -> None:
        transformer = self.t2s.t2s_transformer
        process_prompt = transformer.process_prompt

        def timed(*arguments, **named):
            result = process_prompt(*arguments, **named)
            self.prefill_ended = time.perf_counter()
            return result

        transformer.process_prompt = timed

    def decode_tokens(self, rows: int, tokens: int) -> dict:
        options = {"top_k": 15, "top_p": 1.0, "temperature": 1.0, "repetition_penalty": 1.35, "early_stop_num": tokens}
        start = time.perf_counter()
        if rows == 1:
            panel = self.t2s.infer_panel_naive(
                self.phonemes[None], torch.tensor([PHONEMES]), self.prompt[None], self.bert[None], **options
            )
            next(panel)
        else:
            self.t2s.infer_panel_batch_infer(
                [self.phonemes] * rows,
                torch.tensor([PHONEMES] * rows),
                self.prompt.expand(rows, -1),
                [self.bert] * rows,
                **options,
            )
        end = time.perf_counter()
        return {
            # A row of a batch takes its part of a prefill, as it does with the others.
            "prefillMs": 1000 * (self.prefill_ended - start) / rows,
            "stepsMs": 1000 * (end - self.prefill_ended),
            "tokens": rows * tokens,
        }

    def waveform(self) -> dict:
        codes = (torch.arange(TOKENS) * 37 % 1024)[None, None]
        start = time.perf_counter()
        audio = self.sovits.decode(codes, self.phonemes[None], [self.spectrum], sv_emb=[self.speaker])
        return {"ms": 1000 * (time.perf_counter() - start), "audioSeconds": audio.shape[-1] / self.rate}

    def first_packet(self) -> dict:
        start = time.perf_counter()
        panel = self.t2s.infer_panel_naive(
            self.phonemes[None],
            torch.tensor([PHONEMES]),
            self.prompt[None],
            self.bert[None],
            top_k=15,
            top_p=1.0,
            temperature=1.0,
            repetition_penalty=1.35,
            early_stop_num=TOKENS,
            streaming_mode=True,
            chunk_length=CHUNK_TOKENS,
        )
        chunk, _ = next(panel)
        audio, _, _ = self.sovits.decode_streaming(
            chunk[None], self.phonemes[None], [self.spectrum], sv_emb=[self.speaker] if self.pro else None
        )
        panel.close()
        return {"ms": 1000 * (time.perf_counter() - start), "samples": audio.shape[-1]}

    def run(self, heat: dict) -> dict:
        match heat["heat"]:
            case "t2s":
                return self.decode_tokens(heat["rows"], heat["tokens"])
            case "waveform":
                return self.waveform()
            case "first-packet":
                return self.first_packet()
            case "memory":
                return {"residentBytes": resident_bytes()}
            case other:
                raise SystemExit(f"no such heat: {other}")


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def main(checkout: str, t2s_path: str, sovits_path: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    answers = sys.stdout
    # Upstream prints while it works, and its progress bars go to the other stream.
    with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        reference = Reference(checkout, t2s_path, sovits_path)
        print(json.dumps({"ready": 1}), file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(reference.run(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
