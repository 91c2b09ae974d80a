import { describe, expect, it } from 'vitest';
import { cardSection, replaceSection } from '../../scripts/eval-demo/card.js';
import type { ColumnFigures, Evaluation } from '../../scripts/eval-demo/evaluate.js';
import { keptHumanFigures } from '../../scripts/eval-demo/human-figures.js';
import { printReport } from '../../scripts/eval-demo/report.js';
import {
  attainment,
  compareModels,
  LEAST_GAIN,
  passes,
  type ScoreLine,
  scorecard,
  totalScore,
} from '../../scripts/eval-demo/scorecard.js';

const line = (over: Partial<ScoreLine>): ScoreLine => ({
  name: 'figure',
  value: 0.5,
  bar: 0.9,
  lower: false,
  unit: 'rate',
  weight: 10,
  worst: 0,
  columns: {},
  barText: '≥ 0.90',
  ...over,
});

const errors = (rate: number) => ({ substitutions: 100 * rate, deletions: 0, insertions: 0, said: 100, rate });

function figures(wordError: number): ColumnFigures {
  return {
    englishWords: errors(wordError),
    wordsIdentified: { right: 80, total: 88 },
    syllables: errors(0.2),
    wordTones: { right: 90, total: 100 },
    sentenceTones: { right: 70, total: 100 },
    voice: {
      voicedShare: 0.6,
      clearShare: 0.5,
      harmonicsDb: 12,
      medianHz: 200,
      pitchSpreadSemitones: 3,
      levelSpreadDb: 7,
    },
    opinion: { signal: 3.2, background: 4, overall: 3.1, p808: 3 },
    tokens: { sentences: 200, endedShare: 0.99, loops: 0, omissions: 1, tokensPerPhoneme: 2.5 },
    realTimeFactor: 0.08,
    wallRealTimeFactor: 0.1,
  };
}

function evaluation(wordError: number): Evaluation {
  return {
    digest: 'a'.repeat(64),
    sizeBytes: 18e6,
    served: { zh: 'promptFree', en: 'promptFree' },
    quick: false,
    columns: { human: figures(0.3), copy: figures(0.4), prompted: figures(0.9), promptFree: figures(wordError) },
    english: [{ column: 'promptFree', said: 'Hello.', heard: 'hello' }],
    zeroShot: [],
    missing: [],
  };
}

describe('a line', () => {
  it('passes at its bar, in either direction, and says nothing where it was not measured', () => {
    expect(passes(line({ value: 0.9 }))).toBe(true);
    expect(passes(line({ value: 0.89 }))).toBe(false);
    expect(passes(line({ value: 0.2, bar: 0.25, lower: true, worst: 1 }))).toBe(true);
    expect(passes(line({ value: 0.26, bar: 0.25, lower: true, worst: 1 }))).toBe(false);
    expect(passes(line({ value: null }))).toBeNull();
    expect(passes(line({ bar: null }))).toBeNull();
  });

  it('is worth nothing at its worst, all at its bar, and little more beyond', () => {
    expect(attainment(line({ value: 0 }))).toBe(0);
    expect(attainment(line({ value: 0.45 }))).toBeCloseTo(0.5);
    expect(attainment(line({ value: 0.9 }))).toBe(1);
    expect(attainment(line({ value: 5 }))).toBe(1.1);
    expect(attainment(line({ value: 2, bar: 0.25, lower: true, worst: 1 }))).toBe(0);
    expect(attainment(line({ value: null }))).toBeNull();
  });
});

describe('the score', () => {
  it('weighs the lines that were measured', () => {
    const lines = [line({ value: 0.9, weight: 3 }), line({ value: 0, weight: 1 }), line({ value: null, weight: 99 })];
    expect(totalScore(lines)).toBeCloseTo(75);
    expect(totalScore([])).toBe(0);
  });

  it('leaves out what only one of two models was measured on', () => {
    const one = [line({ value: 0.9 }), line({ value: 0 })];
    const other = [line({ value: 0.9 }), line({ value: null })];
    expect(totalScore(one, other)).toBe(100);
  });
});

describe('the scorecard', () => {
  it('counts the same figure with a prompt and without one for the same', () => {
    const base = evaluation(0.9);
    const bad = base.columns.prompted!;
    const good = { ...bad, englishWords: errors(0.6), wordTones: { right: 100, total: 100 } };
    const scoreOf = (columns: Evaluation['columns'], served: Evaluation['served']['en'] = 'promptFree') =>
      totalScore(
        scorecard({ ...base, served: { zh: served, en: served }, columns: { ...base.columns, ...columns } }, null),
      );
    const usual = scoreOf({ promptFree: bad });
    const withPrompt = scoreOf({ prompted: good, promptFree: bad });
    expect(withPrompt).toBeGreaterThan(usual + LEAST_GAIN);
    expect(scoreOf({ promptFree: good })).toBeCloseTo(withPrompt);
    expect(scoreOf({ prompted: good, promptFree: bad }, 'prompted')).toBeCloseTo(withPrompt);
  });

  it('judges each mode by a bar of its own', () => {
    const lines = scorecard(evaluation(0.5), null);
    const english = lines.filter(({ name }) => name.startsWith('English word error') && !name.includes('copy'));
    expect(english.map(({ name, value }) => [name, value])).toEqual([
      ['English word error, with prompt', 0.9],
      ['English word error, prompt-free', 0.5],
    ]);
    expect(english.map(passes)).toEqual([false, true]);
  });

  it('has no figure of both modes where one of them was not measured', () => {
    const { prompted: _p, ...columns } = evaluation(0.5).columns;
    const lines = scorecard({ ...evaluation(0.5), columns }, null);
    expect(lines.find(({ name }) => name.includes('loops'))!.value).toBeNull();
    expect(lines.find(({ name }) => name.startsWith('real-time factor'))!.value).toBeNull();
  });

  it('holds the chain against people where the bar says so', () => {
    const english = (wordError: number) =>
      scorecard(evaluation(wordError), null).find(({ name }) => name === 'English word error, prompt-free')!;
    expect(english(0.5)).toMatchObject({ value: 0.5, bar: 0.55 });
    expect(passes(english(0.5))).toBe(true);
    expect(passes(english(0.6))).toBe(false);
  });

  it('uses kept figures of people where there are no recordings, and no bar where there are none', () => {
    const { human: _h, copy: _c, ...columns } = evaluation(0.5).columns;
    const bare = { ...evaluation(0.5), columns };
    expect(scorecard(bare, figures(0.1))[0]!.bar).toBeCloseTo(0.35);
    expect(passes(scorecard(bare, null)[0]!)).toBeNull();
    expect(printReport(bare, scorecard(bare, null), null)).toContain('not available');
  });

  it('weighs a hundred in all', () => {
    const sum = scorecard(evaluation(0.5), null).reduce((total, { weight }) => total + weight, 0);
    expect(sum).toBe(100);
  });

  it('has kept figures of people', () => {
    expect(keptHumanFigures()?.englishWords?.rate).toBeLessThan(0.5);
  });
});

describe('replacing the model', () => {
  const model = (wordError: number, sizeBytes: number) => ({
    lines: scorecard({ ...evaluation(wordError), sizeBytes }, null),
    sizeBytes,
  });

  it('takes a candidate that is clearly better', () => {
    const verdict = compareModels(model(0.8, 18e6), model(0.5, 18e6));
    expect(verdict.replace).toBe(true);
    expect(verdict.candidateScore - verdict.presentScore).toBeGreaterThan(LEAST_GAIN);
  });

  it('keeps the present one for a worse or equal candidate', () => {
    expect(compareModels(model(0.5, 18e6), model(0.8, 18e6)).replace).toBe(false);
    expect(compareModels(model(0.5, 18e6), model(0.5, 18e6)).replace).toBe(false);
  });

  it('refuses more than 20 MB, unless the present model is larger still', () => {
    expect(compareModels(model(0.9, 18e6), model(0.4, 21e6)).replace).toBe(false);
    const verdict = compareModels(model(0.9, 31e6), model(0.4, 21e6));
    expect(verdict.replace).toBe(true);
    expect(verdict.reasons.join()).toContain('21.0 MB');
  });

  it('refuses a candidate that was not measured on a line that counts', () => {
    const candidate = model(0.4, 18e6);
    const lines = candidate.lines.map((one, index) => (index === 0 ? { ...one, value: null } : one));
    const verdict = compareModels(model(0.9, 18e6), { ...candidate, lines });
    expect(verdict.replace).toBe(false);
    expect(verdict.reasons.join()).toContain('English word error');
  });
});

describe('the model card', () => {
  it('gets the evaluation between its markers and keeps the rest', () => {
    const card = `# Card\n\n<!-- evaluation: written by npm run eval:demo -- --card -->\nFORMER FIGURES\n<!-- end of the evaluation -->\nend\n`;
    const section = cardSection(evaluation(0.5), scorecard(evaluation(0.5), null), null);
    const written = replaceSection(card, section);
    expect(written).toContain('| English word error, prompt-free | 0.50 | ≤ human + 0.25 = 0.55 | pass |');
    expect(written).not.toContain('FORMER');
    expect(written.startsWith('# Card')).toBe(true);
    expect(written.endsWith('<!-- end of the evaluation -->\nend\n')).toBe(true);
    expect(() => replaceSection('# Card', section)).toThrow('needs the lines');
  });
});
