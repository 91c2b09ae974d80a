/**
 * Why a Chinese text is read otherwise than upstream on purpose, or null when the two must agree. Judged from the text
 * alone, after the *Improve* list of the reference data.
 */
export function zhImprovement(text: string): string | null {
  for (const [pattern, reason] of REASONS) if (pattern.test(text)) return reason;
  return null;
}

const REASONS: readonly (readonly [RegExp, string])[] = [
  [/(?:^|[^\d])2月|第\s?2/, '2 behind 第 or before 月'],
  [/-\d|−\d/, 'negative number or range'],
  [/\d,\d{3}/, 'thousands separator'],
  [/\d[~～—–]\d/, 'range'],
  [/\d{2,}-\d{2,}/, 'phone number'],
  [/\d[:：]\d/, 'ratio or time'],
  [/[$€£¥￥₩]\d/, 'currency'],
  [/\d\s?(?:[kKmcd]?[mM]\b|[kKmM]?[gG]\b|[mM]?[lL]\b|[KkMGTP]B|[kMG]?Hz|V|W|A|s|h|min|ms|℃|°)/, 'unit'],
  [/\d[%％‰]|％/, 'percent'],
  [/\d{4}[/.-]\d{1,2}[/.-]\d{1,2}/, 'date'],
  [/[A-Za-z]/, 'Latin letters'],
  [/(?<![\d.])\d{3,}(?![\d年])/, 'bare number'],
  [/〇/, 'zero in characters'],
  [/一[月号等]|第一|一[千万]/, 'tone of 一'],
];
