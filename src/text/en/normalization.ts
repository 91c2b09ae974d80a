import { plainNumber } from './numbers.js';

export function normalizeEnglish(text: string): string {
  return text
    .replace(/[;:，；：]/g, ',')
    .replace(/\d+/g, (digits) => plainNumber(digits))
    .normalize('NFD')
    .replace(/[^ A-Za-z'.,?!-]/g, '')
    .replace(/(?<!^)(?<!\s)([A-Z])/g, ' $1')
    .replace(/([!?…,.\-\s])[!?…,.-]+/g, '$1');
}
