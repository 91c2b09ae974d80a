/**
 * Runs a measurement by name:
 *
 *     npm run bench -- NAME [its own flags]
 *
 * Without a name it lists them. What each measures and prints stands at the head of its file.
 */
const BENCHMARKS: Readonly<Record<string, readonly [file: string, what: string]>> = {
  race: ['./race/race.js', 'ours against a naive ONNX port and the reference, full size, side by side'],
  limits: ['./limits.js', "the machine's own limits: memory bandwidth, float32 and int8 peak"],
  concurrency: [
    './concurrency.js',
    'listeners in real time against their number: first packets, throughput, who ran dry',
  ],
  caches: ['./caches.js', 'what each cache brings to a call centre'],
  start: ['./start.js', 'from the start of a process to its first audio byte'],
  soak: ['./soak.js', 'whether memory stays where it is'],
  seams: ['./seams.js', 'seams of streamed audio against its interior'],
  t2s: ['./t2s.js', 'text-to-semantic alone: load, prefill, tokens a second by rows'],
  adapters: ['./adapters.js', 'what adapters cost a step, different ones in one batch'],
  waveform: ['./waveform.js', 'SoVITS alone: load and time of each graph'],
  encoders: ['./encoders.js', 'RoBERTa and HuBERT in float32 and int8: time, load, cosine of the features'],
  'full-size': ['./full-size.js', 'a full-size model as a server uses it: import, start, memory'],
  'first-packet': ['./first-packet.js', 'time to the first audio with 1, 4 and 8 callers who listen as it comes'],
  opening: ['./opening.js', 'who waits while another model is opened'],
  gateway: ['./gateway/gateway.js', 'what the gateway itself costs: the path to the engine and back, cached speech'],
  revocation: ['./revocation.js', 'how long a voice speaks after its consent was revoked, on two servers'],
  healthz: ['./healthz.js', 'latency of /healthz while the server synthesises'],
  text: ['./text.js', 'the text front end: cold load, a warm sentence, a long document'],
  'checkpoint-memory': ['./checkpoint-memory.js', 'what reading a checkpoint needs besides its tensors'],
};

const [name = '', ...rest] = process.argv.slice(2);
const entry = Object.hasOwn(BENCHMARKS, name) ? BENCHMARKS[name] : undefined;
if (entry) {
  // A measurement is a program of its own, and reads its flags where it always does.
  process.argv.splice(2, process.argv.length, ...rest);
  await import(entry[0]);
} else {
  if (name !== '') process.stderr.write(`there is no benchmark "${name}"\n`);
  process.stdout.write('usage: npm run bench -- NAME [flags]\n\n');
  for (const [known, [, what]] of Object.entries(BENCHMARKS)) process.stdout.write(`  ${known.padEnd(18)} ${what}\n`);
  process.exitCode = name === '' ? 0 : 2;
}
