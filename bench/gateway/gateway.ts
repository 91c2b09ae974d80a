/**
 * What the gateway itself costs, on the whole server (embedded database, API key, limits, audit records, labels) over an
 * engine that needs no time, in an engine process as always:
 *
 * 1. the path from a request to the engine and back, one request after the other, each with a seed of its own: a first
 *    window of speech (0.48 s) as wav and as mp3; the bar is 3 ms in the median of the server's own time for wav, whose
 *    encoding is nothing: from a request's headers to the last byte of its answer, as its log has it. The whole time of the
 *    client, which shares the cores, is printed beside it;
 * 2. cached speech, 32 connections, beside a bare Fastify that sends as many bytes: the bar is 2,000 requests a second.
 *
 * npm run bench -- gateway [--seconds 8] [--connections 32]; exits with 1 where a bar does not hold.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import autocannon, { type LoadClient } from 'autocannon';
import { median, quantile, REPOSITORY } from '../figures.js';

const PATH_BAR_MS = 3;
const CACHED_BAR = 2000;
const WARM_UP_SECONDS = 3;
/** So many until V8 has compiled the path. */
const WARM_UP_REQUESTS = 1500;
const PATH_REQUESTS = 800;
/** 2.9 s of speech. */
const TEXT = 'One. Two. Three. Four. Five. Six.';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '8' }, connections: { type: 'string', default: '32' } },
});
const connections = Number(values.connections);

interface Started {
  readonly url: string;
  readonly key: string;
  cpuMs(): Promise<number>;
  /** The server's own times of the requests for speech since it was asked last. */
  ownMs(): Promise<number[]>;
  stop(): Promise<void>;
}

const folder = mkdtempSync(join(tmpdir(), 'timbre-gateway-bench-'));
const build = compile();
const server = await start('timbre-server', folder);
print(
  `${cpus()[0]?.model.trim()}, ${cpus().length} cores, load average ${loadavg()[0]?.toFixed(1)}, Node ${process.version}`,
);

const pathMs: Record<string, number> = {};
for (const format of ['wav', 'mp3']) {
  await timePath(format, WARM_UP_REQUESTS);
  await server.ownMs();
  const whole = await timePath(format, PATH_REQUESTS);
  const own = await server.ownMs();
  if (own.length < PATH_REQUESTS - 1) throw new Error(`${own.length} of ${PATH_REQUESTS} requests are in the log`);
  pathMs[format] = median(own);
  const told = (times: readonly number[]) =>
    [0.5, 0.95, 0.99].map((share) => `p${100 * share} ${quantile(times, share).toFixed(2)}`).join(', ');
  print(`path, 0.48 s of ${format}, ms: the server's own time ${told(own)}; the client's ${told(whole)}`);
}

const body = JSON.stringify({ model: 'm', voice: 'demo', input: TEXT, seed: 1, response_format: 'mp3' });
const sizeBytes = await answerBytes(body);
const cached = await load('cached speech', server);
const bare = await start('bare-server', String(sizeBytes));
const plain = await load('bare Fastify', bare);
const again = await load('cached speech', server);
await bare.stop();
await server.stop();
for (const made of [folder, build]) rmSync(made, { recursive: true, force: true });
const best = Math.max(cached, again);
print(
  `${sizeBytes} bytes an answer; cached speech takes ${(plain / best).toFixed(1)} times what nothing but the answer does`,
);
const holds = (pathMs['wav'] ?? Number.NaN) <= PATH_BAR_MS && best >= CACHED_BAR;
print(holds ? 'both bars hold' : `a bar does not hold: ${PATH_BAR_MS} ms, ${CACHED_BAR} requests a second`);
process.exitCode = holds ? 0 : 1;

/** Times of whole answers, one after the other over one connection. */
async function timePath(format: string, count: number): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const times: number[] = [];
  for (let seed = 0; seed < count; seed++) {
    const begin = performance.now();
    await post(JSON.stringify({ model: 'm', voice: 'demo', input: 'One.', seed, response_format: format }), agent);
    times.push(performance.now() - begin);
  }
  agent.destroy();
  return times;
}

function post(text: string, agent: Agent): Promise<number> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${server.key}` };
  return new Promise((resolve, reject) => {
    const sent = request(`${server.url}/v1/audio/speech`, { method: 'POST', agent, headers }, (response) => {
      let received = 0;
      response.on('data', (data: Buffer) => {
        received += data.length;
      });
      response.once('end', () => {
        if (response.statusCode === 200) resolve(received);
        else reject(new Error(`the server answered ${response.statusCode}`));
      });
    });
    sent.once('error', reject);
    sent.end(text);
  });
}

async function answerBytes(text: string): Promise<number> {
  const agent = new Agent();
  await post(text, agent);
  const received = await post(text, agent);
  agent.destroy();
  return received;
}

/** @returns requests a second. */
async function load(name: string, { url, key, cpuMs }: Started): Promise<number> {
  const options = {
    url: `${url}/v1/audio/speech`,
    method: 'POST' as const,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body,
    connections,
    // It would decode each answer as UTF-8, which takes it longer with sound than the server needs to send it.
    setupClient: (client: LoadClient) => {
      client.pipelinedRequests.addBody = () => {};
    },
  };
  await autocannon({ ...options, duration: WARM_UP_SECONDS });
  const cpuBefore = await cpuMs();
  const result = await autocannon({ ...options, duration: Number(values.seconds) });
  const usedMs = (await cpuMs()) - cpuBefore;
  const { requests, latency, non2xx, errors } = result;
  if (non2xx + errors > 0) throw new Error(`${name}: ${non2xx} refused, ${errors} failed`);
  print(
    `${name}, ${connections} connections: ${requests.average.toFixed(0)} requests/s, p50 ${latency.p50} ms, ` +
      `p99 ${latency.p99} ms; ${(usedMs / requests.total).toFixed(3)} ms of processor time a request`,
  );
  return requests.average;
}

/** As it is shipped: the loader that runs sources has each function named when it is made. */
function compile(): string {
  // Inside the repository, so that packages resolve; apart from dist/, which may be running.
  mkdirSync(join(REPOSITORY, '.timbre'), { recursive: true });
  const output = mkdtempSync(join(REPOSITORY, '.timbre/bench-build-'));
  const tsc = join(REPOSITORY, 'node_modules/.bin/tsc');
  execFileSync(tsc, ['--noEmit', 'false', '--outDir', output], { cwd: REPOSITORY, stdio: 'inherit' });
  cpSync(join(REPOSITORY, 'src'), join(output, 'src'), {
    recursive: true,
    filter: (path) => statSync(path).isDirectory() || path.includes('/data/'),
  });
  return output;
}

async function start(name: string, argument: string): Promise<Started> {
  const child = fork(join(build, `bench/gateway/${name}.js`), [argument], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const { url, key } = await said(child, 'listening');
  return {
    url: String(url),
    key: String(key),
    async cpuMs() {
      child.send('usage');
      const { user, system } = (await said(child, 'usage'))['usage'] as NodeJS.CpuUsage;
      return (user + system) / 1000;
    },
    async ownMs() {
      child.send('times');
      return (await said(child, 'times'))['times'] as number[];
    },
    async stop() {
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.disconnect();
      await exited;
    },
  };
}

function said(child: ChildProcess, type: string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const onExit = () => reject(new Error('the server ended'));
    const onMessage = (message: unknown) => {
      const facts = message as Record<string, unknown>;
      if (facts['type'] !== type) return;
      child.off('exit', onExit);
      child.off('message', onMessage);
      resolve(facts);
    };
    child.once('exit', onExit);
    child.on('message', onMessage);
  });
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
