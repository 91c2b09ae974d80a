import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ColumnFigures } from './evaluate.js';

const FILE = join(import.meta.dirname, 'data/human.json');

/** Figures of the human recordings from the last run that had them: bars against people hold without the recordings. */
export function keptHumanFigures(): ColumnFigures | null {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as ColumnFigures) : null;
}

export function keepHumanFigures(figures: ColumnFigures): void {
  writeFileSync(FILE, `${JSON.stringify(figures, null, 2)}\n`);
}
