import { COLUMNS, type Column, type ColumnFigures, type Evaluation } from './evaluate.js';
import { passes, type ScoreLine, totalScore } from './scorecard.js';

export const COLUMN_NAMES: Readonly<Record<Column, string>> = {
  human: 'human',
  copy: 'copy-synthesis',
  prompted: 'with prompt',
  promptFree: 'prompt-free',
};

const ABSENT = 'not available';

/** Rows of the table of bars, the heading first. */
export function barTable(lines: readonly ScoreLine[]): string[][] {
  const rows = lines.map((line) => [
    line.name,
    line.value === null ? ABSENT : write(line.value, line.unit),
    line.bar !== null && /human/.test(line.barText) ? `${line.barText} = ${write(line.bar, line.unit)}` : line.barText,
    { true: 'pass', false: 'fail', null: '–' }[String(passes(line)) as 'true' | 'false' | 'null'],
  ]);
  return [['figure', 'value', 'bar', ''], ...rows];
}

/** Rows of all figures, a column for people, copy-synthesis and each mode; `human` are figures kept from an earlier run. */
export function figureTable({ columns }: Evaluation, human: ColumnFigures | null): string[][] {
  const row = (name: string, pick: (figures: ColumnFigures) => string | undefined): string[] => [
    name,
    ...COLUMNS.map((column) => {
      const figures = columns[column];
      if (figures) return pick(figures) ?? '–';
      const kept = column === 'human' && human ? pick(human) : undefined;
      return kept ? `${kept} (kept)` : ABSENT;
    }),
  ];
  const fixed = (value: number | undefined, digits: number) => value?.toFixed(digits);
  const percent = (value: number | undefined) => (value === undefined ? undefined : `${(100 * value).toFixed(0)} %`);
  const share = (count: { right: number; total: number } | undefined) =>
    count && `${count.right} of ${count.total} (${(count.right / Math.max(1, count.total)).toFixed(2)})`;
  const errors = (found: ColumnFigures['syllables']) =>
    found &&
    `${found.rate.toFixed(2)} (${found.substitutions} wrong, ${found.deletions} missing, ${found.insertions} added)`;
  return [
    ['', ...COLUMNS.map((column) => COLUMN_NAMES[column])],
    row('English word error', (f) => errors(f.englishWords)),
    row('English word error, sentences without recordings', (f) => errors(f.ownEnglishWords)),
    row('Mandarin words identified', (f) => share(f.wordsIdentified)),
    row('Mandarin syllable error', (f) => errors(f.syllables)),
    row('tones right, words', (f) => share(f.wordTones)),
    row('tones right, sentences', (f) => share(f.sentenceTones)),
    row('loud frames voiced', (f) => percent(f.voice?.voicedShare)),
    row('loud frames with clear harmonics', (f) => percent(f.voice?.clearShare)),
    row('harmonics above what is between, voiced frames', (f) => f.voice && `${f.voice.harmonicsDb.toFixed(1)} dB`),
    row(
      'pitch, English',
      (f) =>
        f.englishVoice &&
        `${f.englishVoice.medianHz.toFixed(0)} Hz ± ${f.englishVoice.pitchSpreadSemitones.toFixed(1)} semitones`,
    ),
    row(
      'pitch, Mandarin',
      (f) =>
        f.mandarinVoice &&
        `${f.mandarinVoice.medianHz.toFixed(0)} Hz ± ${f.mandarinVoice.pitchSpreadSemitones.toFixed(1)} semitones`,
    ),
    row('spread of the level', (f) => f.voice && `${f.voice.levelSpreadDb.toFixed(1)} dB`),
    row(
      'DNSMOS signal, background, overall; P.808',
      (f) =>
        f.opinion &&
        `${f.opinion.signal.toFixed(2)}, ${f.opinion.background.toFixed(2)}, ${f.opinion.overall.toFixed(2)}; ${f.opinion.p808.toFixed(2)}`,
    ),
    row('sentences that end by themselves', (f) => percent(f.tokens?.endedShare)),
    row('sentences with loops; too short', (f) => f.tokens && `${f.tokens.loops}; ${f.tokens.omissions}`),
    row('tokens per phoneme', (f) => fixed(f.tokens?.tokensPerPhoneme, 2)),
    row('real-time factor: processor, wall', (f) =>
      f.realTimeFactor !== undefined ? `${fixed(f.realTimeFactor, 2)}, ${fixed(f.wallRealTimeFactor, 2)}` : undefined,
    ),
  ];
}

/** Rows of what references of new speakers do to the voice's colour. */
export function zeroShotTable({ zeroShot }: Pick<Evaluation, 'zeroShot'>): string[][] {
  const percent = (value: number | null) => (value === null ? 'no difference asked' : `${(100 * value).toFixed(0)} %`);
  const rows = zeroShot.map(({ speaker, language, envelopeShare, direction, pitchShare, nearer }) => [
    `${speaker} (${language === 'zh' ? 'Mandarin' : 'English'})`,
    percent(envelopeShare),
    direction.toFixed(2),
    percent(pitchShare),
    `${nearer.right} of ${nearer.total}`,
  ]);
  return [
    ['new speaker', 'way to their spectrum', 'direction', 'way to their pitch', 'sentences nearer to them'],
    ...rows,
  ];
}

/** The scorecard for a terminal. */
export function printReport(evaluation: Evaluation, lines: readonly ScoreLine[], human: ColumnFigures | null): string {
  const passed = lines.filter((line) => passes(line)).length;
  const failed = lines.filter((line) => passes(line) === false).length;
  const parts = [
    columns(barTable(lines)),
    columns(figureTable(evaluation, human)),
    ...(evaluation.zeroShot.length > 0 ? [columns(zeroShotTable(evaluation))] : []),
    ...evaluation.missing.map((one) => `not measured: ${one}`),
    `${evaluation.quick ? 'quick run on a part of the sets; ' : ''}score ${totalScore(lines).toFixed(1)} of 100; ${passed} lines pass, ${failed} fail`,
  ];
  return parts.join('\n\n');
}

/** Aligned columns. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function write(value: number, unit: ScoreLine['unit']): string {
  switch (unit) {
    case 'rate':
    case 'score':
      return value.toFixed(2);
    case 'percent':
      return `${(100 * value).toFixed(0)} %`;
    case 'megabytes':
      return `${value.toFixed(1)} MB`;
    case 'count':
      return String(value);
  }
}
