import { readFileSync } from 'node:fs';

/** Our own pronunciation of a product, company or place name of today (lower case) that the dictionaries lack. */
export function productName(word: string): readonly string[] | undefined {
  loaded ??= new Map(
    readFileSync(new URL('./data/product-names.txt', import.meta.url), 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const [name = '', ...phones] = line.split(' ');
        return [name, phones];
      }),
  );
  return loaded.get(word);
}

let loaded: Map<string, readonly string[]> | undefined;
