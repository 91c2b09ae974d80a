import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openReference } from '../../test/parity/reference.js';
import type { ImportModelRequest } from './engine-types.js';
import { importModel, importSteps, refuseUnmarkedRate } from './import-model.js';
import { ModelStore } from './model-store.js';
import { openRuntime } from './onnxruntime.js';

const reference = openReference();
const file = (name: string): string => reference.path(`checkpoints/${name}`);
const DEMO = join(import.meta.dirname, '../../demo-voice');

describe('importing a model', () => {
  const folder = mkdtempSync(join(tmpdir(), 'timbre-import-'));
  const runtime = openRuntime({ threads: 2 });
  let store: ModelStore;

  beforeAll(() => {
    store = new ModelStore(folder);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const run = (request: Partial<ImportModelRequest> & { paths: string[] }) =>
    importModel({ name: 'model', replace: true, ...request }, store, runtime);

  it.each([
    ['v1', 's2_v1.pth', 's1_v1.ckpt', 512],
    ['v2', 's2_v2.pth', 's1_e2e.ckpt', 732],
    ['v2Pro', 's2_v2Pro.pth', 's1_e2e.ckpt', 732],
    ['v2ProPlus', 's2_v2ProPlus.pth', 's1_e2e.ckpt', 732],
  ])('recognises %s from its contents', (version, sovits, t2s) => {
    const record = run({ paths: [file(sovits), file(t2s), file('hubert')] });
    expect(record.version).toBe(version);
    expect(store.load('model').manifests.hubert).toBeDefined();
  });

  it('takes every container and order of files, and finds the same components again', () => {
    const first = run({ paths: [file('s2_v2.pth'), file('s1_e2e.ckpt'), file('hubert'), file('roberta')] });
    const count = readdirSync(join(folder, 'components')).length;
    const again = run({
      name: 'again',
      paths: [file('roberta'), file('hubert'), file('s1_e2e.ckpt'), file('s2_v2.pth')],
    });
    expect(again.digest).toBe(first.digest);
    expect(readdirSync(join(folder, 'components'))).toHaveLength(count);
    expect(store.load('model').manifests.bert?.files).toHaveProperty('tokenizer.json');
    expect(store.summary(store.load('model'))).toMatchObject({ hasBert: true, warnings: [] });
  });

  it('keeps precisions apart, tells what int8 cost, and leaves small networks in fp32 by itself', () => {
    const paths = [file('s2_v2.pth'), join(DEMO, 's1.ckpt'), file('hubert')];
    const quantised = run({ name: 'int8', paths, precision: 'int8' });
    const plain = run({ name: 'plain', paths });
    expect(plain.components.text2semantic).not.toBe(quantised.components.text2semantic);
    expect(plain.components.sovits).not.toBe(quantised.components.sovits);
    const details = store.details(store.load('int8'));
    expect(details.precision).toContain('int8');
    expect(details.quality.find((report) => report.network === 'text2semantic')).toMatchObject({ precision: 'int8' });
    expect(store.details(store.load('plain')).quality).toEqual([]);
  }, 300_000);

  it('takes encoders that fit from the store when they are not given', () => {
    run({ name: 'first', paths: [file('s2_v2.pth'), file('s1_e2e.ckpt'), file('hubert'), file('roberta')] });
    const record = run({ name: 'second', paths: [file('s2_v2ProPlus.pth'), file('s1_e2e.ckpt')] });
    expect(Object.keys(record.components).sort()).toEqual(['bert', 'hubert', 'sovits', 'text2semantic']);
    expect(record.warnings).toEqual(['no speaker encoder, which v2ProPlus needs to enrol a voice']);
  });

  it('drops components that no model names any more', () => {
    const own = new ModelStore(mkdtempSync(join(folder, 'own-')));
    importModel({ name: 'a', paths: [file('s2_v2.pth'), file('s1_e2e.ckpt'), file('hubert')] }, own, runtime);
    importModel({ name: 'b', paths: [file('s2_v2Pro.pth'), file('s1_e2e.ckpt'), file('hubert')] }, own, runtime);
    expect(own.components.list()).toHaveLength(4);
    own.remove('a');
    expect(
      own.components
        .list()
        .map((manifest) => manifest.kind)
        .sort(),
    ).toEqual(['hubert', 'sovits', 'text2semantic']);
    expect(() => own.load('a')).toThrow(expect.objectContaining({ code: 'MODEL_NOT_FOUND' }));
  });

  it.each([
    ['a missing SoVITS', ['s1_v2.ckpt'], 'MODEL_INVALID', /lacks a SoVITS/],
    ['a missing text-to-semantic', ['s2_v2.pth'], 'MODEL_INVALID', /lacks a text-to-semantic/],
    ['two of a kind', ['s1_v2.ckpt', 's1_e2e.ckpt', 's2_v2.pth'], 'MODEL_INVALID', /are both/],
    ['a phoneme table that is too small', ['s1_v1.ckpt', 's2_v2.pth'], 'MODEL_INVALID', /512 phonemes/],
    ['a BERT of another width', ['s1_v2.ckpt', 's2_v2.pth', 'roberta'], 'MODEL_INVALID', /1024/],
    ['a v3 model', ['s1_v2.ckpt', 's2_v3.pth'], 'CHECKPOINT_UNSUPPORTED', /v3/],
    ['a vocoder', ['s1_v2.ckpt', 'vocoder_v4/vocoder.pth'], 'CHECKPOINT_UNSUPPORTED', /vocoder/],
    ['no such file', ['missing.pth'], 'CHECKPOINT_NOT_FOUND', /missing\.pth/],
  ])('refuses %s', (_, names, code, message) => {
    const attempt = () => run({ name: 'refused', paths: names.map(file) });
    expect(attempt).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
    expect(store.has('refused')).toBe(false);
  });

  it('refuses a token encoder of another width, a folder without weights and a model without its config', () => {
    const misfit = () => run({ paths: [file('s1_v2.ckpt'), file('s2_v2.pth'), join(DEMO, 'token-encoder')] });
    expect(misfit).toThrow(expect.objectContaining({ code: 'MODEL_INVALID' }));
    expect(() => run({ paths: [folder] })).toThrow(expect.objectContaining({ code: 'CHECKPOINT_NOT_FOUND' }));
    const bare = mkdtempSync(join(folder, 'bare-'));
    copyFileSync(file('hubert/pytorch_model.bin'), join(bare, 'pytorch_model.bin'));
    expect(() => run({ paths: [bare] })).toThrow(expect.objectContaining({ code: 'CHECKPOINT_UNSUPPORTED' }));
    writeFileSync(join(bare, 'config.json'), '{');
    expect(() => run({ paths: [bare] })).toThrow(expect.objectContaining({ code: 'CHECKPOINT_CORRUPT' }));
  });

  it('refuses models at rates whose sound could not be marked', () => {
    for (const sampleRateHz of [16_000, 24_000, 32_000, 48_000]) refuseUnmarkedRate({ sampleRateHz });
    for (const sampleRateHz of [22_050, 44_100, 96_000, 0]) {
      expect(() => refuseUnmarkedRate({ sampleRateHz })).toThrow(/expected a multiple of 8000 Hz/);
    }
  });

  it('refuses a name twice and names that are no names', () => {
    const paths = [file('s2_v2.pth'), file('s1_e2e.ckpt'), file('hubert')];
    run({ name: 'taken', paths });
    expect(() => run({ name: 'taken', paths, replace: false })).toThrow(
      expect.objectContaining({ code: 'MODEL_EXISTS' }),
    );
    expect(() => run({ name: 'a/b', paths })).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID' }));
  });

  it('leaves no model behind when it is left between two steps', () => {
    const own = new ModelStore(mkdtempSync(join(folder, 'left-')));
    for (const { step } of importSteps({ name: 'x', paths: [file('s2_v2.pth'), file('s1_e2e.ckpt')] }, own, runtime)) {
      if (step.startsWith('compiling')) break;
    }
    expect(own.names()).toEqual([]);
  });

  it('sweeps away what killed imports left long ago, and nothing younger', () => {
    const dataDir = mkdtempSync(join(folder, 'swept-'));
    const components = join(dataDir, 'components');
    for (const name of ['partial-old', 'partial-new']) mkdirSync(join(components, name), { recursive: true });
    utimesSync(join(components, 'partial-old'), 1, 1);
    expect(new ModelStore(dataDir).components.list()).toEqual([]);
    expect(readdirSync(components)).toEqual(['partial-new']);
  });

  it('drops what a replaced model alone had used', () => {
    const own = new ModelStore(mkdtempSync(join(folder, 'replaced-')));
    const put = (sovits: string) =>
      importModel(
        { name: 'a', paths: [file(sovits), file('s1_e2e.ckpt'), file('hubert')], replace: true },
        own,
        runtime,
      );
    const old = put('s2_v2.pth');
    put('s2_v2Pro.pth');
    expect(own.components.list().map((manifest) => manifest.digest)).not.toContain(old.components.sovits);
    expect(own.components.list()).toHaveLength(3);
  });

  it('asks to import again what an earlier compiler made', () => {
    run({ name: 'old', paths: [file('s2_v1.pth'), file('s1_v1.ckpt'), file('hubert')] });
    const digest = store.load('old').components.sovits!;
    const path = join(store.components.folderOf(digest), 'component.json');
    writeFileSync(path, JSON.stringify({ ...store.components.load(digest), compilerVersion: 0 }));
    expect(() => store.load('old')).toThrow(expect.objectContaining({ code: 'MODEL_STORE_CORRUPT' }));
    writeFileSync(path, '{');
    expect(() => store.load('old')).toThrow(expect.objectContaining({ code: 'MODEL_STORE_CORRUPT' }));
  });
});
