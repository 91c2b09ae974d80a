/**
 * Makes `src/text/ja/data/characters.bin`: which of the characters U+4E00–U+9FFF are in JIS X 0208, then which of those
 * neither GB 2312 nor Big5 has, a bit each, the lowest first. From the runtime's own tables of these encodings, which
 * to go through anew at each start took 10 ms of the first sentence. Usage: node scripts/build-ja-characters.mjs
 */
import { writeFileSync } from 'node:fs';

const FIRST = 0x4e00;
const COUNT = 0x5200;

const jis = charactersOf('euc-jp', [0xb0, 0xf4], [0xa1, 0xfe]);
const chinese = new Set([
  ...charactersOf('gbk', [0xb0, 0xf7], [0xa1, 0xfe]),
  ...charactersOf('big5', [0xa4, 0xf9], [0x40, 0xfe]),
]);
const sets = [jis, new Set([...jis].filter((character) => !chinese.has(character)))];
const out = Buffer.alloc((sets.length * COUNT) / 8);
sets.forEach((set, i) => {
  for (const character of set) {
    const at = i * COUNT + character.charCodeAt(0) - FIRST;
    out[at >> 3] |= 1 << (at & 7);
  }
});
writeFileSync(new URL('../src/text/ja/data/characters.bin', import.meta.url), out);

function charactersOf(encoding, leads, trails) {
  const bytes = [];
  for (let lead = leads[0]; lead <= leads[1]; lead++) {
    for (let trail = trails[0]; trail <= trails[1]; trail++) {
      if (trail < 0x7f || trail > 0xa0) bytes.push(lead, trail, 0x0a);
    }
  }
  const decoded = new TextDecoder(encoding).decode(Uint8Array.from(bytes));
  return new Set([...decoded].filter((c) => c >= '\u4e00' && c <= '\u9fff'));
}
