// Speech by ElevenLabs's client: npm install @elevenlabs/elevenlabs-js; node examples/elevenlabs.mjs
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { ElevenLabsClient } from '@elevenlabs/elevenlabs-js';

const client = new ElevenLabsClient({ apiKey: 'none', baseUrl: 'http://127.0.0.1:9880' });
const audio = await client.textToSpeech.stream('demo', { text: '今天天气很好。', outputFormat: 'mp3_44100_128' });
Readable.fromWeb(audio).pipe(createWriteStream('hello.mp3'));
