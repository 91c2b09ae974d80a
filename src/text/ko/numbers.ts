/** A whole number in Sino-Korean: "2024" → 이천이십사. Digit by digit above 16 digits. Takes plain ASCII digits. */
export function sinoNumber(digits: string): string {
  const plain = digits.replace(/^0+(?=\d)/, '');
  if (plain === '0') return '영';
  if (plain.length > 16) return digitNames(digits);
  let spoken = '';
  for (let end = plain.length, group = 0; end > 0; end -= 4, group++) {
    const four = sinoBelowTenThousand(plain.slice(Math.max(0, end - 4), end));
    if (four === '') continue;
    // 10000 is 만, not 일만; 일억 and 일조 keep their one.
    spoken = (group === 1 && four === '일' ? '' : four) + (GROUPS[group] ?? '') + spoken;
  }
  return spoken;
}

/** A number below 100 in native Korean as it stands before a counter: "3" → 세, "20" → 스무; above, the hundreds are Sino-Korean. */
export function nativeNumber(digits: string): string {
  const plain = digits.replace(/^0+(?=\d)/, '');
  if (plain === '0' || plain.length > 16) return sinoNumber(plain);
  const ones = Number(plain.slice(-1));
  const tens = Number(plain.slice(-2, -1));
  const hundreds = plain.slice(0, -2);
  const head = hundreds === '' || /^0*$/.test(hundreds) ? '' : sinoNumber(`${hundreds}00`);
  if (tens === 2 && ones === 0) return `${head}스무`;
  return head + (NATIVE_TENS[tens] ?? '') + (NATIVE_ONES[ones] ?? '');
}

/** Digits one by one; `zero` is 영 in numbers and 공 in telephone numbers. Characters that are no digits stay. */
export function digitNames(digits: string, zero: '영' | '공' = '영'): string {
  return digits.replace(/\d/g, (digit) => (digit === '0' ? zero : DIGITS.charAt(Number(digit))));
}

function sinoBelowTenThousand(digits: string): string {
  let spoken = '';
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits.charAt(i));
    const place = PLACES[digits.length - 1 - i] ?? '';
    if (digit === 0) continue;
    spoken += (digit === 1 && place !== '' ? '' : DIGITS.charAt(digit)) + place;
  }
  return spoken;
}

const DIGITS = '영일이삼사오육칠팔구';
const PLACES = ['', '십', '백', '천'];
const GROUPS = ['', '만', '억', '조'];
const NATIVE_ONES = ['', '한', '두', '세', '네', '다섯', '여섯', '일곱', '여덟', '아홉'];
const NATIVE_TENS = ['', '열', '스물', '서른', '마흔', '쉰', '예순', '일흔', '여든', '아흔'];
