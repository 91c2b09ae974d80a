import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { encodeWav } from '../../src/audio/wav.js';
import { SAMPLE_RATE_HZ } from './cepstra.js';
import { DemoModel } from './demo-model.js';
import type { ColumnFigures, Evaluation } from './evaluate.js';
import { barTable, COLUMN_NAMES, figureTable, zeroShotTable } from './report.js';
import { passes, type ScoreLine, totalScore } from './scorecard.js';

const ROOT = resolve(import.meta.dirname, '../..');
const CARD = join(ROOT, 'docs/demo-voice.md');
const BEGIN = '<!-- evaluation: written by npm run eval:demo -- --card -->';
const END = '<!-- end of the evaluation -->';

const PICTURES = [
  {
    file: 'demo-en',
    language: 'en',
    text: 'The weather is very good today. Please hold the line while I look up your account.',
  },
  { file: 'demo-zh', language: 'zh', text: '今天天气很好。请问您需要什么帮助？' },
] as const;

const ZERO_SHOT =
  'What a reference of somebody new does (five seconds of a speaker the voice model did not learn; larger and smaller speakers are the trained ones with pitch and formants moved together). 0 % is the usual voice and 100 % the new one, in mean spectral envelope and in pitch; the direction is 1 where the change is the one asked for and 0 where it is any; the last column compares each sentence with the same sentence in the usual voice, chance is half.';

/** Writes the evaluation into the model card between its markers, and the spectrograms beside it. */
export async function writeCard(
  modelDir: string,
  evaluation: Evaluation,
  lines: readonly ScoreLine[],
  human: ColumnFigures | null,
): Promise<void> {
  await drawPictures(modelDir, evaluation);
  const section = cardSection(evaluation, lines, human);
  writeFileSync(CARD, replaceSection(readFileSync(CARD, 'utf8'), section));
}

/** The card with what is between its markers replaced; throws where it has none. */
export function replaceSection(card: string, section: string): string {
  const begin = card.indexOf(BEGIN);
  const end = card.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`the model card needs the lines "${BEGIN}" and "${END}"`);
  return `${card.slice(0, begin + BEGIN.length)}\n\n${section}\n\n${card.slice(end)}`;
}

export function cardSection(evaluation: Evaluation, lines: readonly ScoreLine[], human: ColumnFigures | null): string {
  const passed = lines.filter((line) => passes(line)).length;
  const examples = evaluation.english
    .filter(({ column }) => column === evaluation.served.en)
    .filter((_, index) => index % 5 === 0)
    .map(({ said, heard }) => `| ${said} | ${heard || '(nothing)'} |`);
  const mode = COLUMN_NAMES[evaluation.served.en];
  return [
    `Model ${evaluation.digest.slice(0, 12)}${evaluation.quick ? ' (a quick run on a part of the sets)' : ''}: ${passed} of ${lines.length} bars reached, score ${totalScore(lines).toFixed(0)} of 100.`,
    markdown(barTable(lines)),
    'The same beside people and beside copy-synthesis (tokens of the recordings through SoVITS). Human Mandarin sentences are held-out words set together by fours, since the recordings are single words.',
    markdown(figureTable(evaluation, human)),
    ...(evaluation.zeroShot.length > 0 ? [ZERO_SHOT, markdown(zeroShotTable(evaluation))] : []),
    ...(examples.length > 0
      ? [`What pocketsphinx hears (${mode}):\n\n| said | heard |\n|---|---|\n${examples.join('\n')}`]
      : []),
    ...PICTURES.map(({ file, text }) => `"${text}"\n\n![Spectrogram of the demo voice](images/${file}.png)`),
    'For comparison a recording of the English speaker:\n\n![Spectrogram of a recording](images/demo-en-recording.png)',
  ].join('\n\n');
}

function markdown(rows: readonly (readonly string[])[]): string {
  const line = (row: readonly string[]) => `| ${row.join(' | ')} |`;
  const [heading = [], ...rest] = rows;
  return [line(heading), `|${heading.map(() => '---').join('|')}|`, ...rest.map(line)].join('\n');
}

async function drawPictures(modelDir: string, { served }: Evaluation): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'timbre-card-'));
  const model = await DemoModel.open(modelDir);
  try {
    for (const { file, language, text } of PICTURES) {
      const { samples } = await model.speak(text, language, served[language], 1);
      const wave = join(folder, `${file}.wav`);
      writeFileSync(wave, encodeWav(samples, SAMPLE_RATE_HZ));
      draw(wave, `${file}.png`);
    }
    draw(join(modelDir, 'ref_en.wav'), 'demo-en-recording.png');
  } finally {
    await model.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function draw(wave: string, picture: string): void {
  const script = join(ROOT, 'scripts/draw-spectrogram.ts');
  const target = join(ROOT, 'docs/images', picture);
  const done = spawnSync(process.execPath, ['--import', 'tsx', script, wave, target], { encoding: 'utf8', cwd: ROOT });
  if (done.status !== 0) throw new Error(`no spectrogram of ${wave}: ${done.stderr}`);
}
