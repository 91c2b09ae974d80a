import type { Writable } from 'node:stream';
import type { ImportProgress } from '../engine/engine-types.js';
import { isTerminal } from './context.js';

export interface ProgressLine {
  /** Shows the state now; on a terminal it replaces the line, elsewhere it is a line of its own when `step` changed. */
  update(step: string, detail?: string): void;
  /** Takes the line away, so that a result can be printed. */
  clear(): void;
}

/** One line that tells what is going on: rewritten in place on a terminal, a line per step in logs and pipes. */
export function createProgressLine(stream: Writable): ProgressLine {
  const terminal = isTerminal(stream);
  let shown = '';
  return {
    update(step, detail = '') {
      if (terminal) {
        shown = detail === '' ? step : `${step} ${detail}`;
        stream.write(`\r\u001b[K${shown}`);
      } else if (step !== shown) {
        shown = step;
        stream.write(`${step}\n`);
      }
    },
    clear() {
      if (terminal && shown !== '') stream.write('\r\u001b[K');
      shown = '';
    },
  };
}

/** Shows an import: `importing: compiling the step graph 40 %`. */
export function showImport(line: ProgressLine): (progress: ImportProgress) => void {
  return ({ step, fraction }) => line.update(`importing: ${step}`, `${Math.round(fraction * 100)} %`);
}
