"""Speech by OpenAI's Python client: pip install openai; python examples/openai.py"""

from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:9880/v1", api_key="none")
with client.audio.speech.with_streaming_response.create(
    model="demo", voice="demo", input="今天天气很好。", response_format="mp3"
) as answer:
    answer.stream_to_file("hello.mp3")
