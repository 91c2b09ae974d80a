#!/usr/bin/env sh
# Speech by curl: as our own API, as OpenAI's, and as the reference implementation's.
server=${1:-http://127.0.0.1:9880}
curl "$server/synthesize" -H 'Content-Type: application/json' -d '{"text": "今天天气很好。", "speaker_id": "demo"}'
curl "$server/v1/audio/speech" -H 'Content-Type: application/json' -o hello.mp3 \
  -d '{"model": "demo", "voice": "demo", "input": "今天天气很好。"}'
curl -G "$server/tts" --data-urlencode 'text=今天天气很好。' -d text_lang=zh -d ref_audio_path=demo -d prompt_lang=zh -o hello.wav
curl "$server/v1/verify" -H 'Content-Type: audio/mpeg' --data-binary @hello.mp3
