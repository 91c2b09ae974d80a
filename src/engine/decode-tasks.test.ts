import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { randomText2Semantic } from '../../test/fixtures/random-text2semantic.js';
import { takeTurns } from '../../test/fixtures/take-turns.js';
import { buildText2Semantic, readText2SemanticSettings } from '../models/text2semantic.js';
import { AdapterStore } from './adapter-store.js';
import { ComponentStore } from './component-store.js';
import { type DecodeCall, decodeTasks, type SemanticPiece } from './decode-tasks.js';
import { openRuntime, type Runtime } from './onnxruntime.js';
import type { Task, TaskMethods } from './thread-tasks.js';

describe('decoding', () => {
  const folder = mkdtempSync(join(tmpdir(), 'timbre-decode-tasks-'));
  const store = new ComponentStore(folder);
  const runtime = openRuntime({ threads: 2 });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const [first = '', second = ''] = [1, 2].map((layers) => {
    const checkpoint = randomText2Semantic(16, 2, layers, 0);
    const settings = readText2SemanticSettings(checkpoint);
    const compile = () => ({ graphs: { text2semantic: buildText2Semantic(checkpoint, settings) } });
    const source = {
      kind: 'text2semantic',
      sources: [],
      settings,
      precision: 'fp32',
      compile,
      attachments: {},
    } as const;
    return store.compile(source, runtime).digest;
  });
  const tasksOver = (over: Runtime) =>
    decodeTasks(store, over, new AdapterStore(folder), new Int32Array(new SharedArrayBuffer(4)));

  it('goes on with the rows of a model while another one is opened', async () => {
    const { promise: opened, release } = gate();
    const slow: Runtime = Object.create(runtime, {
      openSession: {
        value: async (...args: Parameters<Runtime['openSession']>) => {
          const session = await runtime.openSession(...args);
          if (String(args[0]).includes(second)) await opened;
          return session;
        },
      },
    });
    const { methods, step } = tasksOver(slow);
    const order: number[] = [];
    const pieces = await takeTurns([started(methods, first), started(methods, second)], {
      beforeRound: step,
      onPiece: (task, piece) => {
        order.push(task);
        if ((piece as SemanticPiece).finished !== null) release();
      },
    });
    expect(order.lastIndexOf(0)).toBeLessThan(order.indexOf(1));
    const alone = tasksOver(runtime);
    for (const [index, component] of [first, second].entries()) {
      const [again = []] = await takeTurns([started(alone.methods, component)], { beforeRound: alone.step });
      expect(tokensOf(pieces[index] ?? [])).toEqual(tokensOf(again));
    }
  });

  it('leaves a model that is being opened when the caller has gone, and fails who wanted one that cannot be', async () => {
    const failing: Runtime = Object.create(runtime, {
      openSession: { value: () => Promise.reject(new Error('no memory for a session')) },
    });
    const { methods, step } = tasksOver(failing);
    const left = started(methods, first);
    left.next();
    left.return();
    await expect(takeTurns([started(methods, first)], { beforeRound: step })).rejects.toThrow('no memory');
    await expect(takeTurns([load(methods, first)])).rejects.toThrow('no memory');
  });
});

function started(methods: TaskMethods, component: string): Task {
  const call: DecodeCall = {
    component,
    phonemeIds: Array.from({ length: 12 }, (_, index) => (index * 7) % 40),
    bertFeatures: null,
    promptSemantic: Array.from({ length: 6 }, (_, index) => (index * 5) % 128),
    sampling: { topK: 15, topP: 1, temperature: 1, repetitionPenalty: 1.35 },
    seed: 7,
    sentenceKey: 0,
    maxNewTokens: 20,
    urgency: 'stream',
    tenant: 'ours',
    deadlineMs: null,
    firstWindowTokens: 8,
    adapter: null,
  };
  return methods['decode']?.(call as never, new AbortController().signal, { sent: [], untaken: 0 }) as Task;
}

function load(methods: TaskMethods, component: string): Task {
  return methods['load']?.({ component } as never, new AbortController().signal, { sent: [], untaken: 0 }) as Task;
}

function tokensOf(pieces: readonly unknown[]): number[] {
  return pieces.flatMap((piece) => [...(piece as SemanticPiece).tokens]);
}

/** A promise that is kept when it is told to. */
function gate(): { readonly promise: Promise<void>; readonly release: () => void } {
  let release = (): void => {};
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { promise, release };
}
