import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';

/**
 * A contestant is a process of its own (a runtime's idle threads and its memory are nobody else's) that reads one JSON
 * object a line and answers each with one. It works only while it is asked to, so that contestants can take turns.
 */
export type Heat =
  /** Decodes `tokens` tokens for each of `rows` sentences of 60 phonemes after a prompt of 100 tokens. */
  | { readonly heat: 't2s'; readonly rows: number; readonly tokens: number }
  /** Renders 150 tokens to samples. */
  | { readonly heat: 'waveform' }
  /** From the phonemes of a sentence of 150 tokens to the first samples a caller could hear. */
  | { readonly heat: 'first-packet' }
  | { readonly heat: 'memory' };

/** Milliseconds, counts and bytes by name. */
export type HeatResult = Readonly<Record<string, number>>;

/** Shared by all contestants: the sentence of the race. */
export const RACE = { phonemes: 60, promptTokens: 100, tokens: 150 } as const;

/** Answers heats from standard input until it ends. */
export async function serveHeats(run: (heat: Heat) => HeatResult | Promise<HeatResult>): Promise<void> {
  process.stdout.write(`${JSON.stringify({ ready: 1 })}\n`);
  for await (const line of createInterface({ input: process.stdin })) {
    const result = await run(JSON.parse(line) as Heat);
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
  // An engine's threads would keep the process, and its end of the pipes.
  process.exit(0);
}

/** The race's side of a contestant. */
export class Contestant {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #replies: string[] = [];
  #wake: () => void = () => {};
  #ended = false;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    if (!child.stdout) throw new Error('a contestant without an output');
    this.#lines = createInterface({ input: child.stdout });
    this.#lines.on('line', (line) => {
      // Anything that is no JSON object is chatter of a library.
      if (line.startsWith('{')) this.#replies.push(line);
      this.#wake();
    });
    child.once('exit', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** Starts a contestant and waits until it is warm. */
  static async start(name: string, command: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Contestant> {
    const [file = '', ...args] = command;
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env } });
    const contestant = new Contestant(name, child);
    await contestant.#reply();
    return contestant;
  }

  async run(heat: Heat): Promise<HeatResult> {
    this.#child.stdin?.write(`${JSON.stringify(heat)}\n`);
    return this.#reply();
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin?.end();
    const overdue = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await exited;
    clearTimeout(overdue);
  }

  async #reply(): Promise<HeatResult> {
    while (this.#replies.length === 0) {
      if (this.#ended) throw new Error(`contestant ${this.name} ended (exit code ${this.#child.exitCode})`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return JSON.parse(this.#replies.shift() ?? '') as HeatResult;
  }
}
