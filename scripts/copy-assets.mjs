// Copies the data files that the compiled code reads (src/**/data/**) beside it into dist/.
import { cpSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

function copyData(from, to) {
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.name === 'data') cpSync(source, target, { recursive: true });
    else if (existsSync(source)) copyData(source, target);
  }
}

copyData('src', 'dist');
