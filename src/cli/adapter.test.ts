import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../../test/fixtures/command-line.js';
import { floats, sovitsAdapterFile } from '../../test/fixtures/sovits-adapter.js';
import { openReference } from '../../test/parity/reference.js';
import type { CheckpointTensor } from '../checkpoint/checkpoint.js';
import { writeSafetensors } from '../checkpoint/safetensors-writer.js';
import { importModel } from '../engine/import-model.js';
import { ModelStore } from '../engine/model-store.js';
import { openRuntime } from '../engine/onnxruntime.js';
import type { ModelSpec } from '../models/model-spec.js';
import type { Text2SemanticSettings } from '../models/text2semantic.js';

describe('timbre adapter', () => {
  const folder = mkdtempSync(join(tmpdir(), 'timbre-cli-adapter-'));
  const data = join(folder, 'data');
  let reading: CheckpointTensor[];
  let sounding: CheckpointTensor[];

  beforeAll(() => {
    const reference = openReference();
    const paths = ['s2_v2.pth', 's1_e2e.ckpt', 'hubert'].map((name) => reference.path(`checkpoints/${name}`));
    const store = new ModelStore(data);
    importModel({ name: 'tiny', paths }, store, openRuntime());
    const { manifests } = store.load('tiny');
    const settings = manifests.text2semantic?.settings as Text2SemanticSettings;
    const { width, feedForwardWidth } = settings;
    reading = [
      floats('m.h.layers.0.linear1.lora_A.weight', [2, width], new Float32Array(2 * width)),
      floats('m.h.layers.0.linear1.lora_B.weight', [feedForwardWidth, 2], new Float32Array(2 * feedForwardWidth)),
    ];
    const spec = manifests.sovits?.settings as ModelSpec;
    sounding = [...sovitsAdapterFile(spec, { seed: 1, rank: 4, only: /enc_p\.proj|pre$/ }).tensors.values()];
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function add(name: string, tensors: readonly CheckpointTensor[]) {
    const path = join(folder, `${name}.safetensors`);
    await writeSafetensors(
      path,
      tensors.map((tensor) => ({
        name: tensor.name,
        dtype: 'F32',
        shape: tensor.shape,
        load: () => tensor.readFloat32(),
      })),
    );
    return timbre(['adapter', 'add', name, path, '--model', 'tiny']);
  }

  async function timbre(argv: readonly string[]): Promise<string> {
    const { out, err } = await runCommand(argv, { TIMBRE_DATA: data });
    return out + err;
  }

  it('says which parts a file has, and keeps it by its name', async () => {
    expect(await timbre(['adapter', 'list'])).toBe('there are none yet; timbre adapter add NAME FILE keeps one\n');
    expect(await add('reads', reading)).toBe('added reads: text-to-semantic, 1 module, rank 2\n');
    expect(await add('sounds', sounding)).toBe('added sounds: waveform, 7 modules, rank 4\n');
    const both = await add('both', [...reading, ...sounding]);
    expect(both).toBe('added both: text-to-semantic, 1 module, rank 2; waveform, 7 modules, rank 4\n');
    expect(await timbre(['adapter', 'list'])).toBe('both\nreads\nsounds\n');
    await timbre(['adapter', 'remove', 'sounds']);
    expect(await timbre(['adapter', 'list'])).toBe('both\nreads\n');
  });

  it('refuses a file that does not fit the model, with the tensor, the shape found and that expected', async () => {
    const [A, ...others] = sounding as [CheckpointTensor, ...CheckpointTensor[]];
    const other = floats(A.name, [4, 5, 1], new Float32Array(20));
    const said = await add('unfit', [other, ...others]);
    expect(said).toContain('CHECKPOINT_UNSUPPORTED');
    expect(said).toContain(`shape [4, 5, 1] in "${A.name}", expected [${A.shape.join(', ')}]`);
    expect(await timbre(['adapter', 'list'])).not.toContain('unfit');
  });
});
