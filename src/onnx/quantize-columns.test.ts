import { describe, expect, it } from 'vitest';
import { quantizeColumns } from './quantize-columns.js';

describe('quantising by column', () => {
  const [outputs, inputs] = [67, 130];
  const matrix = Float32Array.from({ length: outputs * inputs }, (_, at) => Math.sin(at * 1.7) * (1 + (at % 5)));
  matrix.fill(0, 3 * inputs, 4 * inputs);

  it.each([
    ['uint8', 128],
    ['int8', 0],
  ] as const)('rounds to the nearest level of each output, as %s', (type, zero) => {
    const { data, scales } = quantizeColumns(matrix, outputs, inputs, type);
    for (let output = 0; output < outputs; output++) {
      const row = matrix.subarray(output * inputs, (output + 1) * inputs);
      const peak = Math.max(...row.map(Math.abs));
      expect(scales[output]).toBe(peak === 0 ? 1 : Math.fround(peak / 127));
      for (let input = 0; input < inputs; input++) {
        expect(data[input * outputs + output]).toBe(Math.round(row[input]! / scales[output]!) + zero);
      }
    }
    expect(Math.max(...data) - zero).toBe(127);
    expect(Math.min(...data) - zero).toBe(-127);
  });
});
