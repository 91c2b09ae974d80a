import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { openCheckpoint } from '../checkpoint/open-checkpoint.js';
import { buildHubert, readHubertSpec } from '../models/hubert.js';
import { encodeModel } from '../onnx/model-file.js';
import { columnWeightsFor } from './column-weights.js';
import { openRuntime, output, tensor } from './onnxruntime.js';
import { chooseEncoder, LEAST_COSINE, rowCosines } from './quantise-encoder.js';

const DEMO_ENCODER = new URL('../../demo-voice/token-encoder/', import.meta.url);

describe('the int8 form of an encoder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'timbre-encoder-'));
  const checkpoint = openCheckpoint(fileURLToPath(new URL('model.safetensors', DEMO_ENCODER)));
  const spec = readHubertSpec(checkpoint, JSON.parse(readFileSync(new URL('config.json', DEMO_ENCODER), 'utf8')));
  const runtime = openRuntime({ threads: 2 });
  const wave = Float32Array.from({ length: 24_000 }, (_, index) => 0.2 * Math.sin(index / 11) * Math.sin(index / 2100));
  const feeds = { wave16k: tensor('float32', [1, wave.length], wave) };

  afterAll(() => {
    checkpoint.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is chosen where its features are those of float32, and leaves nothing behind', () => {
    const choice = chooseEncoder((precision) => buildHubert(checkpoint, spec, { precision }), [feeds], runtime, folder);
    expect(choice.precision).toBe('int8');
    expect(choice.compared).toHaveLength(1);
    expect(choice.compared[0]!.leastCosine).toBeGreaterThan(LEAST_COSINE);
    expect(choice.graph.weights.some((weight) => weight.type === columnWeightsFor(runtime))).toBe(true);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is not chosen where a few weights are so large that the steps swallow all others', () => {
    const choice = chooseEncoder(
      (precision) => buildHubert(withOutliers(checkpoint), spec, { precision }),
      [feeds],
      runtime,
      folder,
    );
    expect(choice.compared[0]!.leastCosine).toBeLessThan(LEAST_COSINE);
    expect(choice.precision).not.toBe('int8');
  });

  it('gives the same features whatever was read before', () => {
    const session = runtime.createSession(encodeModel(buildHubert(checkpoint, spec, { precision: 'int8' }), null));
    const read = () => output(session.run(feeds), 'last_hidden_state', 'float32').data;
    const first = read();
    session.run({
      wave16k: tensor(
        'float32',
        [1, wave.length],
        wave.map((sample) => 4 * sample),
      ),
    });
    expect(read()).toEqual(first);
    session.close();
  });
});

describe('the cosine of rows', () => {
  it('is 1 for rows of one direction and 0 for what is no number', () => {
    const rows = Float32Array.of(1, 2, 3, 4, Number.NaN, 1);
    const [same, opposite, broken] = rowCosines(rows, Float32Array.of(2, 4, -3, -4, 1, 1), 2);
    expect([same, opposite]).toEqual([expect.closeTo(1), expect.closeTo(-1)]);
    expect(broken).toBe(0);
  });
});

/** Every matrix of the layers with one huge weight an output. */
function withOutliers(checkpoint: Checkpoint): Checkpoint {
  const tensors = new Map(
    [...checkpoint.tensors].map(([name, stored]) => {
      if (!/layers\.\d+.*(proj|dense)\.weight$/.test(name)) return [name, stored];
      const [, columns = 1] = stored.shape;
      const readFloat32 = () => {
        const values = stored.readFloat32();
        for (let at = 0; at < values.length; at += columns) values[at + ((at / columns) % columns)] = 40;
        return values;
      };
      return [name, { ...stored, name, shape: stored.shape, dtype: stored.dtype, length: stored.length, readFloat32 }];
    }),
  );
  return { ...checkpoint, tensors, path: checkpoint.path };
}
