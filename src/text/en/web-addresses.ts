import type { SourceText } from '../source-text.js';
import { digitByDigit } from './numbers.js';

const DOMAINS =
  'com|net|org|edu|gov|io|ai|dev|app|cn|uk|us|de|fr|jp|kr|hk|tw|sg|eu|co|me|tv|info|biz|xyz|cloud|tech|site|online|shop';
const FILES =
  'js|ts|py|md|txt|pdf|html|htm|css|json|xml|yaml|yml|csv|zip|exe|png|jpg|jpeg|gif|svg|mp3|mp4|wav|doc|docx|xls|xlsx|ppt|pptx|sh|java|cpp|rs|go|net';
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62})';

const EMAIL = new RegExp(`\\b[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@${LABEL}(?:\\.${LABEL}){1,8}`, 'g');
const URL_WITH_SCHEME = /\b(?:https?|ftp):\/\/([^\s<>'",，。]{1,2000})/gi;
const BARE_DOMAIN = new RegExp(
  `\\b(?:www\\.)?(?:${LABEL}\\.){1,8}(?:${DOMAINS})(?![A-Za-z0-9@])(?:/[^\\s<>'",]{0,2000})?`,
  'g',
);
const FILE_NAME = new RegExp(`(?<![A-Za-z0-9.])([A-Za-z][A-Za-z0-9_-]{0,62})\\.(${FILES})(?![A-Za-z0-9])`, 'g');
const FILE_ENDING = /(?<![\w.])\.([a-z][a-z0-9]{1,4})\b/g;
const HOST_AND_PORT = /(?<![\d.,])(\d{1,3}(?:\.\d{1,3}){3}):(\d{2,5})(?![\d:])/g;
const NUMERIC_CHAIN = /(?<![\d.,])(?:v(?=\d))?\d{1,4}(?:\.\d{1,4}){2,5}(?![\d.]*\d)/gi;

const HARDWARE_ADDRESS = /(?<![\w:])[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){2,7}(?![\w:])/g;

/**
 * Reads e-mail addresses, web addresses, file names and version numbers: "support@example.com" is "support at example
 * dot com", "Node.js" "Node dot J S", "2.0.1" "2 point 0 point 1".
 */
export function expandAddresses(text: SourceText): SourceText {
  return text
    .replace(EMAIL, (address) => spell(address))
    .replace(URL_WITH_SCHEME, (whole, rest: string) => {
      const tail = /[.,!?;:)]{0,30}$/.exec(rest)?.[0] ?? '';
      const body = rest.slice(0, rest.length - tail.length);
      return body === '' ? whole : `${spell(body.replace(/\/$/, ''))}${tail}`;
    })
    .replace(BARE_DOMAIN, (address) => {
      const tail = /[.!?;:)]{0,30}$/.exec(address)?.[0] ?? '';
      const body = address.slice(0, address.length - tail.length);
      return `${spell(body.replace(/\/$/, ''))}${tail}`;
    })
    .replace(FILE_NAME, (_, name: string, ending: string) => `${name} dot ${letters(ending)}`)
    .replace(FILE_ENDING, ' dot $1')
    .replace(HARDWARE_ADDRESS, (address) =>
      /[A-F]/i.test(address)
        ? address
            .toUpperCase()
            .split(':')
            .map((pair) => pair.replace(/\d/g, (digit) => ` ${digitByDigit(digit)} `).trim())
            .join(', ')
        : address,
    )
    .replace(HOST_AND_PORT, (_, host: string, port: string) => `${host} port ${digitByDigit(port)}`)
    .replace(NUMERIC_CHAIN, (chain) => (isDate(chain) ? chain : chain.replace(/^v/i, 'v ').replaceAll('.', ' point ')));
}

const NAMES: Record<string, string> = {
  '@': ' at ',
  '.': ' dot ',
  '/': ' slash ',
  '-': ' dash ',
  _: ' underscore ',
  ':': ' colon ',
  '?': ' question mark ',
  '=': ' equals ',
  '&': ' and ',
  '%': ' percent ',
  '+': ' plus ',
  '#': ' hash ',
  '~': ' tilde ',
};

function spell(address: string): string {
  return address
    .replace(/\d+/g, (digits) => (digits.length > 2 ? ` ${digitByDigit(digits)} ` : digits))
    .replace(/\bwww\b/gi, 'WWW')
    .replace(new RegExp(`\\.(${FILES})$`, 'i'), (whole, ending: string) =>
      ['net', 'go'].includes(ending.toLowerCase()) ? whole : `.${letters(ending)}`,
    )
    .replace(/[@./_:?=&%+#~-]/g, (sign) => NAMES[sign] ?? ' ')
    .replace(/ {2,}/g, ' ')
    .trim();
}

/** "js" → "JS", which is spelt out later; endings that are words stay words. */
function letters(ending: string): string {
  return ['zip', 'java', 'go', 'net', 'doc'].includes(ending) ? ending : ending.toUpperCase();
}

function isDate(chain: string): boolean {
  return /^(?:19|20)\d\d\.(?:0?[1-9]|1[0-2])\.(?:0?[1-9]|[12]\d|3[01])$/.test(chain);
}
