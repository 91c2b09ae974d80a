/** Entries of chinese-roberta-wwm-ext-large's vocabulary. */
export const VOCABULARY_SIZE = 21_128;

/**
 * A WordPiece vocabulary of the official size and order of sections (special tokens at their official ids, signs,
 * characters, continuations), holding every character of GB 2312 and ASCII. Its ids beyond 103 are not the official ones.
 */
export function chineseVocabulary(): string[] {
  const tokens = new Set<string>(['[PAD]']);
  for (let i = 1; i <= 99; i++) tokens.add(`[unused${i}]`);
  for (const token of ['[UNK]', '[CLS]', '[SEP]', '[MASK]', '<S>', '<T>']) tokens.add(token);
  const characters = [...asciiSigns(), ...gb2312Characters()];
  for (const character of characters) tokens.add(character);
  for (const character of characters) tokens.add(`##${character}`);
  // Latin pieces fill the rest.
  const letters = [...'abcdefghijklmnopqrstuvwxyz'];
  for (const prefix of ['', '##']) {
    for (const a of letters)
      for (const b of letters)
        for (const c of letters) {
          if (tokens.size >= VOCABULARY_SIZE) return [...tokens];
          tokens.add(`${prefix}${a}${b}${c}`);
        }
  }
  return [...tokens];
}

function asciiSigns(): string[] {
  const signs = Array.from({ length: 94 }, (_, i) => String.fromCharCode(0x21 + i));
  return [...new Set(signs.map((sign) => sign.toLowerCase()))];
}

/** All signs and characters of GB 2312, in its own order (the common characters by pronunciation first). */
function gb2312Characters(): string[] {
  const decoder = new TextDecoder('gb2312', { fatal: true });
  const characters: string[] = [];
  for (let row = 0xa1; row <= 0xf7; row++) {
    for (let cell = 0xa1; cell <= 0xfe; cell++) {
      try {
        characters.push(decoder.decode(Uint8Array.of(row, cell)));
      } catch {
        // Rows have unassigned cells.
      }
    }
  }
  return characters.filter((character) => !/[\s\ue000-\uf8ff]/u.test(character));
}
