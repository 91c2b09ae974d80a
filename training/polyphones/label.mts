/**
 * What words and rules read in each sentence, without the model: npx tsx label.mts < IN > OUT
 * In: a sentence a line. Out, a line for each: the sentence in simplified characters, a tab, then for each character that
 * the model may be asked for `place:reading:source`; source is `rule`, `phrase` (of the phrase table) or `single` (its usual reading).
 */
import { createInterface } from 'node:readline';
import { SentenceContext } from '../../src/text/zh/polyphone-model.js';
import { isInPhrase, resolvePolyphones } from '../../src/text/zh/polyphones.js';
import { segmentWords } from '../../src/text/zh/segmentation.js';
import { readWord, spell } from '../../src/text/zh/syllables.js';
import { toSimplified } from '../../src/text/zh/traditional.js';

const model = new SentenceContext('');
const NOTHING = { knows: () => false, readingAt: () => undefined };

for await (const line of createInterface({ input: process.stdin })) {
  const sentence = toSimplified(line);
  const found: string[] = [];
  for (const match of sentence.matchAll(/[\u4e00-\u9fa5]+/g)) {
    const words = segmentWords(match[0]);
    const decided = resolvePolyphones(match[0], words, NOTHING);
    let begin = 0;
    for (const { word } of words) {
      const usual = readWord(word);
      for (let i = 0; i < word.length; i++) {
        if (!model.knows(word[i]!)) continue;
        const rule = decided.get(begin + i);
        const source = rule !== undefined ? 'rule' : isInPhrase(word, i) ? 'phrase' : 'single';
        found.push(`${match.index + begin + i}:${spell(rule ?? usual[i]!)}:${source}`);
      }
      begin += word.length;
    }
  }
  console.log(`${sentence}\t${found.join(' ')}`);
}
