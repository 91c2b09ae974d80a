import { describe, expect, it } from 'vitest';
import { isSymbol, phonemeIds, symbolTable } from './symbols.js';

describe('symbol tables', () => {
  it('have 322 symbols in v1 and 732 in v2, which begins with v1', () => {
    expect(symbolTable('v1')).toHaveLength(322);
    expect(symbolTable('v2')).toHaveLength(732);
    expect(symbolTable('v2').slice(0, 322)).toEqual(symbolTable('v1'));
    expect(new Set(symbolTable('v2')).size).toBe(732);
  });

  it('give ids, and the id of UNK for a name outside the table', () => {
    expect(phonemeIds(['!', ',', '_', '…', 'nonsense'], 'v1')).toEqual([0, 1, 95, 321, 86]);
    expect(symbolTable('v1')[86]).toBe('UNK');
    expect(isSymbol('Yaa1', 'v1')).toBe(false);
    expect(isSymbol('Yaa1', 'v2')).toBe(true);
  });
});
