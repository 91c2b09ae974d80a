import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { PickleWriter } from '../../bench/pickle-writer.js';
import { bytesOf, ScratchCheckpoints } from '../../bench/scratch-checkpoints.js';
import { AppError } from '../errors.js';
import type { PlainValue } from './checkpoint.js';
import type { CheckpointLimits } from './checkpoint-limits.js';
import { openCheckpoint } from './open-checkpoint.js';

const scratch = new ScratchCheckpoints();
afterAll(() => scratch.close());

function dataOf(path: string): { readonly [key: string]: PlainValue } {
  const checkpoint = openCheckpoint(path);
  checkpoint.close();
  return checkpoint.data;
}

/** The plain value of what `write` pushes. */
function plainValueOf(write: (pickle: PickleWriter) => void): PlainValue | undefined {
  return dataOf(
    scratch.torchDict((pickle) => {
      pickle.text('x');
      write(pickle);
    }),
  )['x'];
}

function refusalOf(path: string, limits: Partial<CheckpointLimits> = {}): AppError {
  try {
    openCheckpoint(path, { limits }).close();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('expected a refusal');
}

/** The refusal of a whole pickle. */
function refusal(write: (pickle: PickleWriter) => void, limits: Partial<CheckpointLimits> = {}): AppError {
  const pickle = new PickleWriter();
  write(pickle);
  return refusalOf(scratch.torchZip(pickle), limits);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

/** One dictionary with every kind of plain data, pickled by CPython 3.11 with protocols 0 to 5. */
const PYTHON_PICKLES = [
  'KGRwMApWdGV4dApwMQpWaOlsbG8gXHU5N2YzXHU4MjcyCnAyCnNWZW1wdHkKcDMKVgpwNApzVmludHMKcDUKKGxwNgpJMAphSTI1NQphSTI1NgphSTY1NTM1CmFJNjU1MzYKYUktMQphTDIxNDc0ODM2NDhMCmFJLTIxNDc0ODM2NDgKYUwxMDk5NTExNjI3Nzc2TAphTC05MDA3MTk5MjU0NzQwOTkxTAphTDExODA1OTE2MjA3MTc0MTEzMDM0MjRMCmFMLTExODA1OTE2MjA3MTc0MTEzMDM0MjRMCmFzVmZsb2F0cwpwNwoobHA4CkYwLjEKYUYtMWUrMzAwCmFGaW5mCmFGLWluZgphc1Zub25lCnA5Ck5zVmJvb2xzCnAxMAoobHAxMQpJMDEKYUkwMAphc1Z0dXBsZQpwMTIKKEkxCnRwMTMKc1ZwYWlyCnAxNAooSTEKSTIKdHAxNQpzVnRyaXBsZQpwMTYKKEkxCkkyCkkzCnRwMTcKc1ZtYW55CnAxOAooSTEKSTIKSTMKSTQKdHAxOQpzVnVuaXQKcDIwCih0c1ZvcmRlcmVkCnAyMQpjY29sbGVjdGlvbnMKT3JkZXJlZERpY3QKcDIyCih0UnAyMwpWYgpwMjQKSTEKc1ZhCnAyNQooZHAyNgpWYwpwMjcKKGxwMjgKc3NzVnNoYXJlZApwMjkKKGxwMzAKKGxwMzEKSTEKYUkyCmFhZzMxCmFzVmJ5dGVzCnAzMgpjX2NvZGVjcwplbmNvZGUKcDMzCihWXHUwMDAw/1x1MDAwYQpwMzQKVmxhdGluMQpwMzUKdHAzNgpScDM3CnNWc2V0CnAzOApjX19idWlsdGluX18Kc2V0CnAzOQooKGxwNDAKSTcKYXRwNDEKUnA0MgpzVmZyb3plbgpwNDMKY19fYnVpbHRpbl9fCmZyb3plbnNldApwNDQKKChscDQ1ClZ4CnA0NgphdHA0NwpScDQ4CnNWcGF0aApwNDkKY3BhdGhsaWIKUHVyZVBvc2l4UGF0aApwNTAKKFYvCnA1MQpWbW9kZWxzCnA1MgpWYSBiCnA1MwpWYy5ja3B0CnA1NAp0cDU1ClJwNTYKc1ZyZWxhdGl2ZQpwNTcKZzUwCihnMjUKZzI0CnRwNTgKUnA1OQpzVndpbmRvd3MKcDYwCmNwYXRobGliClB1cmVXaW5kb3dzUGF0aApwNjEKKFZDOlx1MDA1YwpwNjIKZzUyCmc1NAp0cDYzClJwNjQKc1ZieXRlYXJyYXkKcDY1CmNfX2J1aWx0aW5fXwpieXRlYXJyYXkKcDY2CihnMzMKKFYBgApwNjcKZzM1CnRwNjgKUnA2OQp0cDcwClJwNzEKc1Zsb25nCnA3MgpWeHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4CnA3MwpzVmtleXMKcDc0CihkcDc1CkkxClZvbmUgYWdhaW4KcDc2CnNGMi41ClZ0d28gYW5kIGEgaGFsZgpwNzcKc05nOQpzc1Zlc2NhcGVzCnA3OApWYVx1MDA1Y2JcdTAwMGFcdTAwMGQnIlx1NGUwMFxVMDAwMWY2MDAKcDc5CnMu',
  'fXEAKFgEAAAAdGV4dHEBWA0AAABow6lsbG8g6Z+z6ImycQJYBQAAAGVtcHR5cQNYAAAAAHEEWAQAAABpbnRzcQVdcQYoSwBL/00AAU3//0oAAAEASv////9MMjE0NzQ4MzY0OEwKSgAAAIBMMTA5OTUxMTYyNzc3NkwKTC05MDA3MTk5MjU0NzQwOTkxTApMMTE4MDU5MTYyMDcxNzQxMTMwMzQyNEwKTC0xMTgwNTkxNjIwNzE3NDExMzAzNDI0TAplWAYAAABmbG9hdHNxB11xCChHP7mZmZmZmZpH/jfkPIgAdZxHf/AAAAAAAABH//AAAAAAAABlWAQAAABub25lcQlOWAUAAABib29sc3EKXXELKEkwMQpJMDAKZVgFAAAAdHVwbGVxDChLAXRxDVgEAAAAcGFpcnEOKEsBSwJ0cQ9YBgAAAHRyaXBsZXEQKEsBSwJLA3RxEVgEAAAAbWFueXESKEsBSwJLA0sEdHETWAQAAAB1bml0cRQpWAcAAABvcmRlcmVkcRVjY29sbGVjdGlvbnMKT3JkZXJlZERpY3QKcRYpUnEXKFgBAAAAYnEYSwFYAQAAAGFxGX1xGlgBAAAAY3EbXXEcc3VYBgAAAHNoYXJlZHEdXXEeKF1xHyhLAUsCZWgfZVgFAAAAYnl0ZXNxIGNfY29kZWNzCmVuY29kZQpxIShYBAAAAADDvwpxIlgGAAAAbGF0aW4xcSN0cSRScSVYAwAAAHNldHEmY19fYnVpbHRpbl9fCnNldApxJyhdcShLB2F0cSlScSpYBgAAAGZyb3plbnErY19fYnVpbHRpbl9fCmZyb3plbnNldApxLChdcS1YAQAAAHhxLmF0cS9ScTBYBAAAAHBhdGhxMWNwYXRobGliClB1cmVQb3NpeFBhdGgKcTIoWAEAAAAvcTNYBgAAAG1vZGVsc3E0WAMAAABhIGJxNVgGAAAAYy5ja3B0cTZ0cTdScThYCAAAAHJlbGF0aXZlcTloMihoGWgYdHE6UnE7WAcAAAB3aW5kb3dzcTxjcGF0aGxpYgpQdXJlV2luZG93c1BhdGgKcT0oWAMAAABDOlxxPmg0aDZ0cT9ScUBYCQAAAGJ5dGVhcnJheXFBY19fYnVpbHRpbl9fCmJ5dGVhcnJheQpxQihoIShYAwAAAAHCgHFDaCN0cURScUV0cUZScUdYBAAAAGxvbmdxSFgsAQAAeHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4cUlYBAAAAGtleXNxSn1xSyhLAVgJAAAAb25lIGFnYWlucUxHQAQAAAAAAABYDgAAAHR3byBhbmQgYSBoYWxmcU1OaAl1WAcAAABlc2NhcGVzcU5YDgAAAGFcYgoNJyLkuIDwn5iAcU91Lg==',
  'gAJ9cQAoWAQAAAB0ZXh0cQFYDQAAAGjDqWxsbyDpn7PoibJxAlgFAAAAZW1wdHlxA1gAAAAAcQRYBAAAAGludHNxBV1xBihLAEv/TQABTf//SgAAAQBK/////4oFAAAAgABKAAAAgIoGAAAAAAABigcBAAAAAADgigkAAAAAAAAAAECKCQAAAAAAAAAAwGVYBgAAAGZsb2F0c3EHXXEIKEc/uZmZmZmZmkf+N+Q8iAB1nEd/8AAAAAAAAEf/8AAAAAAAAGVYBAAAAG5vbmVxCU5YBQAAAGJvb2xzcQpdcQsoiIllWAUAAAB0dXBsZXEMSwGFcQ1YBAAAAHBhaXJxDksBSwKGcQ9YBgAAAHRyaXBsZXEQSwFLAksDh3ERWAQAAABtYW55cRIoSwFLAksDSwR0cRNYBAAAAHVuaXRxFClYBwAAAG9yZGVyZWRxFWNjb2xsZWN0aW9ucwpPcmRlcmVkRGljdApxFilScRcoWAEAAABicRhLAVgBAAAAYXEZfXEaWAEAAABjcRtdcRxzdVgGAAAAc2hhcmVkcR1dcR4oXXEfKEsBSwJlaB9lWAUAAABieXRlc3EgY19jb2RlY3MKZW5jb2RlCnEhWAQAAAAAw78KcSJYBgAAAGxhdGluMXEjhnEkUnElWAMAAABzZXRxJmNfX2J1aWx0aW5fXwpzZXQKcSddcShLB2GFcSlScSpYBgAAAGZyb3plbnErY19fYnVpbHRpbl9fCmZyb3plbnNldApxLF1xLVgBAAAAeHEuYYVxL1JxMFgEAAAAcGF0aHExY3BhdGhsaWIKUHVyZVBvc2l4UGF0aApxMihYAQAAAC9xM1gGAAAAbW9kZWxzcTRYAwAAAGEgYnE1WAYAAABjLmNrcHRxNnRxN1JxOFgIAAAAcmVsYXRpdmVxOWgyaBloGIZxOlJxO1gHAAAAd2luZG93c3E8Y3BhdGhsaWIKUHVyZVdpbmRvd3NQYXRoCnE9WAMAAABDOlxxPmg0aDaHcT9ScUBYCQAAAGJ5dGVhcnJheXFBY19fYnVpbHRpbl9fCmJ5dGVhcnJheQpxQmghWAMAAAABwoBxQ2gjhnFEUnFFhXFGUnFHWAQAAABsb25ncUhYLAEAAHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHFJWAQAAABrZXlzcUp9cUsoSwFYCQAAAG9uZSBhZ2FpbnFMR0AEAAAAAAAAWA4AAAB0d28gYW5kIGEgaGFsZnFNTmgJdVgHAAAAZXNjYXBlc3FOWA4AAABhXGIKDSci5LiA8J+YgHFPdS4=',
  'gAN9cQAoWAQAAAB0ZXh0cQFYDQAAAGjDqWxsbyDpn7PoibJxAlgFAAAAZW1wdHlxA1gAAAAAcQRYBAAAAGludHNxBV1xBihLAEv/TQABTf//SgAAAQBK/////4oFAAAAgABKAAAAgIoGAAAAAAABigcBAAAAAADgigkAAAAAAAAAAECKCQAAAAAAAAAAwGVYBgAAAGZsb2F0c3EHXXEIKEc/uZmZmZmZmkf+N+Q8iAB1nEd/8AAAAAAAAEf/8AAAAAAAAGVYBAAAAG5vbmVxCU5YBQAAAGJvb2xzcQpdcQsoiIllWAUAAAB0dXBsZXEMSwGFcQ1YBAAAAHBhaXJxDksBSwKGcQ9YBgAAAHRyaXBsZXEQSwFLAksDh3ERWAQAAABtYW55cRIoSwFLAksDSwR0cRNYBAAAAHVuaXRxFClYBwAAAG9yZGVyZWRxFWNjb2xsZWN0aW9ucwpPcmRlcmVkRGljdApxFilScRcoWAEAAABicRhLAVgBAAAAYXEZfXEaWAEAAABjcRtdcRxzdVgGAAAAc2hhcmVkcR1dcR4oXXEfKEsBSwJlaB9lWAUAAABieXRlc3EgQwMA/wpxIVgDAAAAc2V0cSJjYnVpbHRpbnMKc2V0CnEjXXEkSwdhhXElUnEmWAYAAABmcm96ZW5xJ2NidWlsdGlucwpmcm96ZW5zZXQKcShdcSlYAQAAAHhxKmGFcStScSxYBAAAAHBhdGhxLWNwYXRobGliClB1cmVQb3NpeFBhdGgKcS4oWAEAAAAvcS9YBgAAAG1vZGVsc3EwWAMAAABhIGJxMVgGAAAAYy5ja3B0cTJ0cTNScTRYCAAAAHJlbGF0aXZlcTVoLmgZaBiGcTZScTdYBwAAAHdpbmRvd3NxOGNwYXRobGliClB1cmVXaW5kb3dzUGF0aApxOVgDAAAAQzpccTpoMGgyh3E7UnE8WAkAAABieXRlYXJyYXlxPWNidWlsdGlucwpieXRlYXJyYXkKcT5DAgGAcT+FcUBScUFYBAAAAGxvbmdxQlgsAQAAeHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4cUNYBAAAAGtleXNxRH1xRShLAVgJAAAAb25lIGFnYWlucUZHQAQAAAAAAABYDgAAAHR3byBhbmQgYSBoYWxmcUdOaAl1WAcAAABlc2NhcGVzcUhYDgAAAGFcYgoNJyLkuIDwn5iAcUl1Lg==',
  'gASVxAMAAAAAAAB9lCiMBHRleHSUjA1ow6lsbG8g6Z+z6ImylIwFZW1wdHmUjACUjARpbnRzlF2UKEsAS/9NAAFN//9KAAABAEr/////igUAAACAAEoAAACAigYAAAAAAAGKBwEAAAAAAOCKCQAAAAAAAAAAQIoJAAAAAAAAAADAZYwGZmxvYXRzlF2UKEc/uZmZmZmZmkf+N+Q8iAB1nEd/8AAAAAAAAEf/8AAAAAAAAGWMBG5vbmWUTowFYm9vbHOUXZQoiIlljAV0dXBsZZRLAYWUjARwYWlylEsBSwKGlIwGdHJpcGxllEsBSwJLA4eUjARtYW55lChLAUsCSwNLBHSUjAR1bml0lCmMB29yZGVyZWSUjAtjb2xsZWN0aW9uc5SMC09yZGVyZWREaWN0lJOUKVKUKIwBYpRLAYwBYZR9lIwBY5RdlHN1jAZzaGFyZWSUXZQoXZQoSwFLAmVoIWWMBWJ5dGVzlEMDAP8KlIwDc2V0lI+UKEsHkIwGZnJvemVulCiMAXiUkZSMBHBhdGiUjAdwYXRobGlilIwNUHVyZVBvc2l4UGF0aJSTlCiMAS+UjAZtb2RlbHOUjANhIGKUjAZjLmNrcHSUdJRSlIwIcmVsYXRpdmWUaCxoG2gahpRSlIwHd2luZG93c5RoKowPUHVyZVdpbmRvd3NQYXRolJOUjANDOlyUaC5oMIeUUpSMCWJ5dGVhcnJheZSMCGJ1aWx0aW5zlIwJYnl0ZWFycmF5lJOUQwIBgJSFlFKUjARsb25nlFgsAQAAeHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4lIwEa2V5c5R9lChLAYwJb25lIGFnYWlulEdABAAAAAAAAIwOdHdvIGFuZCBhIGhhbGaUTmgJdYwHZXNjYXBlc5SMDmFcYgoNJyLkuIDwn5iAlHUu',
  'gAWVrgMAAAAAAAB9lCiMBHRleHSUjA1ow6lsbG8g6Z+z6ImylIwFZW1wdHmUjACUjARpbnRzlF2UKEsAS/9NAAFN//9KAAABAEr/////igUAAACAAEoAAACAigYAAAAAAAGKBwEAAAAAAOCKCQAAAAAAAAAAQIoJAAAAAAAAAADAZYwGZmxvYXRzlF2UKEc/uZmZmZmZmkf+N+Q8iAB1nEd/8AAAAAAAAEf/8AAAAAAAAGWMBG5vbmWUTowFYm9vbHOUXZQoiIlljAV0dXBsZZRLAYWUjARwYWlylEsBSwKGlIwGdHJpcGxllEsBSwJLA4eUjARtYW55lChLAUsCSwNLBHSUjAR1bml0lCmMB29yZGVyZWSUjAtjb2xsZWN0aW9uc5SMC09yZGVyZWREaWN0lJOUKVKUKIwBYpRLAYwBYZR9lIwBY5RdlHN1jAZzaGFyZWSUXZQoXZQoSwFLAmVoIWWMBWJ5dGVzlEMDAP8KlIwDc2V0lI+UKEsHkIwGZnJvemVulCiMAXiUkZSMBHBhdGiUjAdwYXRobGlilIwNUHVyZVBvc2l4UGF0aJSTlCiMAS+UjAZtb2RlbHOUjANhIGKUjAZjLmNrcHSUdJRSlIwIcmVsYXRpdmWUaCxoG2gahpRSlIwHd2luZG93c5RoKowPUHVyZVdpbmRvd3NQYXRolJOUjANDOlyUaC5oMIeUUpSMCWJ5dGVhcnJheZSWAgAAAAAAAAABgJSMBGxvbmeUWCwBAAB4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHiUjARrZXlzlH2UKEsBjAlvbmUgYWdhaW6UR0AEAAAAAAAAjA50d28gYW5kIGEgaGFsZpROaAl1jAdlc2NhcGVzlIwOYVxiCg0nIuS4gPCfmICUdS4=',
];

describe('pickled data', () => {
  it.each([0, 1, 2, 3, 4, 5])('of protocol %i is read as Python wrote it', (protocol) => {
    const shared = [1, 2];
    expect(dataOf(scratch.torchZip(Buffer.from(PYTHON_PICKLES[protocol] ?? '', 'base64')))).toEqual({
      text: 'héllo 音色',
      empty: '',
      ints: [
        0,
        255,
        256,
        65_535,
        65_536,
        -1,
        2 ** 31,
        -(2 ** 31),
        2 ** 40,
        1 - 2 ** 53,
        `${2n ** 70n}`,
        `${-(2n ** 70n)}`,
      ],
      floats: [0.1, -1e300, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
      none: null,
      bools: [true, false],
      tuple: [1],
      pair: [1, 2],
      triple: [1, 2, 3],
      many: [1, 2, 3, 4],
      unit: [],
      ordered: { b: 1, a: { c: [] } },
      shared: [shared, shared],
      bytes: '\x00\xff\n',
      set: [7],
      frozen: ['x'],
      path: '/models/a b/c.ckpt',
      relative: 'a/b',
      windows: 'C:\\models\\c.ckpt',
      bytearray: '\x01\x80',
      long: 'x'.repeat(300),
      keys: { 1: 'one again', 2.5: 'two and a half', null: 'none' },
      escapes: 'a\\b\n\r\'"\u4e00\u{1f600}',
    });
  });

  it('keeps configuration classes as their fields', () => {
    const namespace =
      'gAJ9cQBYAQAAAG5xAWNhcmdwYXJzZQpOYW1lc3BhY2UKcQIpgXEDfXEEKFgBAAAAYXEFSwFYAQAAAGJxBlgBAAAAeHEHdWJzLg==';
    expect(dataOf(scratch.torchZip(Buffer.from(namespace, 'base64')))).toEqual({ n: { a: 1, b: 'x' } });
  });

  it('builds records by every instruction that instantiates, and takes slots', () => {
    const state = (p: PickleWriter) => p.raw('}').text('a').integer(1).raw('s');
    expect(plainValueOf((p) => void state(p.mark().raw('iutils\nHParams\n')).raw('b'))).toEqual({ a: 1 });
    expect(plainValueOf((p) => void state(p.mark().global('utils', 'HParams').raw('o')).raw('b'))).toEqual({ a: 1 });
    expect(plainValueOf((p) => void state(p.global('utils', 'HParams').raw(')', 0x81)).raw('b'))).toEqual({ a: 1 });
    expect(plainValueOf((p) => void state(p.global('utils', 'HParams').raw(')}', 0x92)).raw('b'))).toEqual({ a: 1 });
    expect(plainValueOf((p) => void state(p.global('utils', 'HParams').raw(')R')).raw('b'))).toEqual({ a: 1 });
    expect(plainValueOf((p) => void state(p.global('utils', 'HParams').raw(')', 0x81, 'N')).raw(0x86, 'b'))).toEqual({
      a: 1,
    });
  });

  it('drops the state of an OrderedDict, where torch keeps _metadata', () => {
    const value = plainValueOf((p) => {
      p.global('collections', 'OrderedDict').raw(')R').text('a').integer(1).raw('s');
      p.raw('}').text('_metadata').raw('}sb');
    });
    expect(value).toEqual({ a: 1 });
  });

  it('takes an OrderedDict of pairs, as Python 2 wrote it', () => {
    const value = plainValueOf((p) => {
      p.global('collections', 'OrderedDict').raw('(](').raw('](').text('a').integer(1).raw('ee').raw('tR');
    });
    expect(value).toEqual({ a: 1 });
  });

  it('reads numpy numbers of either byte order', () => {
    const number = (code: string, order: string, hex: string) =>
      plainValueOf((p) => {
        p.global('numpy.core.multiarray', 'scalar').mark();
        p.global('numpy', 'dtype')
          .tuple(() => p.text(code).boolean(false).boolean(true))
          .raw('R');
        p.tuple(() => p.integer(3).text(order).none().none().none().integer(-1).integer(-1).integer(0)).raw('b');
        p.global('_codecs', 'encode')
          .tuple(() => p.text(Buffer.from(hex, 'hex').toString('latin1')).text('latin1'))
          .raw('R');
        p.raw('tR');
      });
    expect(number('f8', '<', '000000000000f83f')).toBe(1.5);
    expect(number('f8', '>', '3ff8000000000000')).toBe(1.5);
    expect(number('f4', '<', '0000c03f')).toBe(1.5);
    expect(number('i8', '<', 'feffffffffffffff')).toBe(-2);
    expect(number('u8', '<', 'ffffffffffffffff')).toBe(String(2n ** 64n - 1n));
    expect(number('i4', '>', '00000007')).toBe(7);
    expect(number('u4', '<', 'ffffffff')).toBe(2 ** 32 - 1);
    expect(number('i2', '<', 'feff')).toBe(-2);
    expect(number('u2', '<', 'feff')).toBe(65_534);
    expect(number('i1', '|', 'fe')).toBe(-2);
    expect(number('u1', '|', 'fe')).toBe(254);
    expect(number('b1', '|', '01')).toBe(true);
    expect(() => number('f2', '<', '003c')).toThrow(/half-precision/);
    expect(() => number('f8', '<', '00')).toThrow(/wrong size/);
    expect(() => number('O', '<', '00')).toThrow(/only numbers are read/);
  });

  it('reads torch sizes, devices, dtypes and parameters', () => {
    expect(
      plainValueOf(
        (p) =>
          void p
            .global('torch', 'Size')
            .tuple(() => p.integers([2, 3]))
            .raw('R'),
      ),
    ).toEqual([2, 3]);
    expect(
      plainValueOf(
        (p) =>
          void p
            .global('torch', 'device')
            .tuple(() => p.text('cuda').integer(1))
            .raw('R'),
      ),
    ).toBe('cuda:1');
    expect(plainValueOf((p) => void p.global('torch', 'float16'))).toBe('torch.float16');
    const path = scratch.torchDict(
      (p) => {
        p.text('w').global('torch._utils', '_rebuild_parameter').mark();
        p.tensor({ storageClass: 'FloatStorage', key: '0', elements: 2, shape: [2] }).boolean(true);
        p.global('collections', 'OrderedDict').raw(')RtR');
      },
      { 0: bytesOf(Float32Array.of(1, 2)) },
    );
    expect([...(openCheckpoint(path).tensors.get('w')?.readFloat32() ?? [])]).toEqual([1, 2]);
  });

  it('ignores tensors, storages and what only holds them among plain data', () => {
    const storage = { 0: bytesOf(Float32Array.of(1)) };
    const tensor = (p: PickleWriter) => p.tensor({ storageClass: 'FloatStorage', key: '0', elements: 1, shape: [1] });
    const path = scratch.torchDict((p) => {
      p.text('weight').raw('}').text('a');
      tensor(p).raw('s').text('step').integer(3).text('optimizer').raw('}').text('m');
      tensor(p).raw('s').text('mixed').raw(']').integer(1).raw('a');
      tensor(p).raw('a');
    }, storage);
    const checkpoint = openCheckpoint(path);
    expect([...checkpoint.tensors.keys()]).toEqual(['a']);
    expect(checkpoint.data).toEqual({ step: 3, mixed: [1, null] });
  });

  it('takes "weight" for a tensor where it is one, and names nested tensors by their path', () => {
    const storage = { 0: bytesOf(Float32Array.of(1)) };
    const tensor = (p: PickleWriter) => p.tensor({ storageClass: 'FloatStorage', key: '0', elements: 1, shape: [1] });
    const path = scratch.torchDict((p) => {
      tensor(p.text('weight')).text('bias');
      tensor(p).text('heads').raw(']');
      tensor(p).raw('a');
    }, storage);
    expect([...openCheckpoint(path).tensors.keys()]).toEqual(['weight', 'bias', 'heads.0']);
  });
});

/** What must never happen if one of these is read: a file of this name. */
const CANARY = join(scratch.folder, 'executed');
const COMMAND = `touch ${CANARY}`;

describe('a pickle that would run code', () => {
  afterEach(() => {
    expect(existsSync(CANARY)).toBe(false);
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  const callByReduce =
    (module: string, name: string, ...args: string[]) =>
    (p: PickleWriter) =>
      void p
        .global(module, name)
        .tuple(() => args.forEach((arg) => void p.text(arg)))
        .raw('R.');
  const hparams = (p: PickleWriter) => p.global('utils', 'HParams').raw(')', 0x81);

  it.each<[string, (p: PickleWriter) => void]>([
    ['os.system by GLOBAL and REDUCE', callByReduce('os', 'system', COMMAND)],
    ['posix.system', callByReduce('posix', 'system', COMMAND)],
    ['nt.system', callByReduce('nt', 'system', COMMAND)],
    ['subprocess.Popen', callByReduce('subprocess', 'Popen', COMMAND)],
    ['__builtin__.eval', callByReduce('__builtin__', 'eval', '1')],
    ['builtins.exec', callByReduce('builtins', 'exec', 'import os')],
    ['builtins.getattr', callByReduce('builtins', 'getattr', 'os', 'system')],
    ['builtins.__import__', callByReduce('builtins', '__import__', 'os')],
    ['builtins.compile', callByReduce('builtins', 'compile', 'x', 'x', 'exec')],
    ['builtins.open', callByReduce('builtins', 'open', CANARY, 'w')],
    ['builtins.map', callByReduce('builtins', 'map')],
    ['importlib.import_module', callByReduce('importlib', 'import_module', 'os')],
    ['runpy.run_path', callByReduce('runpy', 'run_path', CANARY)],
    ['webbrowser.open', callByReduce('webbrowser', 'open', 'http://localhost')],
    ['shutil.rmtree', callByReduce('shutil', 'rmtree', CANARY)],
    ['socket.create_connection', callByReduce('socket', 'create_connection', 'localhost')],
    ['ctypes.CDLL', callByReduce('ctypes', 'CDLL', 'libc.so.6')],
    ['operator.attrgetter', callByReduce('operator', 'attrgetter', '__globals__')],
    ['functools.partial', callByReduce('functools', 'partial', 'os.system')],
    ['torch.load', callByReduce('torch', 'load', CANARY)],
    ['torch.hub.load', callByReduce('torch.hub', 'load', 'x')],
    ['torch.storage._load_from_bytes', callByReduce('torch.storage', '_load_from_bytes', 'x')],
    ['torch._utils._rebuild_wrapper_subclass', callByReduce('torch._utils', '_rebuild_wrapper_subclass')],
    ['torch.nn.Linear', callByReduce('torch.nn.modules.linear', 'Linear')],
    ['torch.jit._pickle.build_intlist', callByReduce('torch.jit._pickle', 'build_intlist')],
    ['numpy.load', callByReduce('numpy', 'load', CANARY)],
    ['numpy._reconstruct', callByReduce('numpy.core.multiarray', '_reconstruct')],
    ['pickle.loads', callByReduce('pickle', 'loads', 'x')],
    ['_pickle.loads', callByReduce('_pickle', 'loads', 'x')],
    ['copyreg._reconstructor', callByReduce('copyreg', '_reconstructor')],
    ['copyreg.add_extension', callByReduce('copyreg', 'add_extension')],
    ['types.CodeType', callByReduce('types', 'CodeType')],
    ['types.FunctionType', callByReduce('types', 'FunctionType')],
    ['marshal.loads', callByReduce('marshal', 'loads')],
    ['pty.spawn', callByReduce('pty', 'spawn', 'sh')],
    ['codecs through another codec', callByReduce('_codecs', 'encode', 'x', 'rot13')],
    ['codecs decode', callByReduce('_codecs', 'decode', 'x', 'hex')],
    ['an allowed name in another module', callByReduce('evil', 'HParams')],
    ['an allowed module with a dotted name', callByReduce('utils', 'HParams.__init__.__globals__')],
    ['a name split elsewhere', callByReduce('torch', '_utils._rebuild_tensor_v2')],
    ['a module split elsewhere', callByReduce('', 'utils.HParams')],
    ['JavaScript names', callByReduce('constructor', 'constructor')],
    ['prototype names', callByReduce('__proto__', 'toString')],
    [
      'STACK_GLOBAL',
      (p) =>
        void p
          .protocol(4)
          .text('os')
          .text('system')
          .raw(0x93)
          .tuple(() => p.text(COMMAND))
          .raw('R.'),
    ],
    [
      'STACK_GLOBAL with a dotted name',
      (p) => void p.protocol(4).text('utils').text('HParams.__class__').raw(0x93, '.'),
    ],
    [
      'STACK_GLOBAL out of the memo',
      (p) => void p.text('os').raw('q', 0).text('system').raw('q', 1, '00h', 0, 'h', 1, 0x93, '.'),
    ],
    ['INST', (p) => void p.mark().text(COMMAND).raw('ios\nsystem\n.')],
    ['OBJ', (p) => void p.mark().global('os', 'system').text(COMMAND).raw('o.')],
    ['OBJ over data', (p) => void p.mark().text('os.system').text(COMMAND).raw('o.')],
    [
      'NEWOBJ',
      (p) =>
        void p
          .global('subprocess', 'Popen')
          .tuple(() => p.text(COMMAND))
          .raw(0x81, '.'),
    ],
    ['NEWOBJ over data', (p) => void p.text('subprocess.Popen').raw(')', 0x81, '.')],
    ['NEWOBJ_EX', (p) => void p.global('subprocess', 'Popen').raw(')}', 0x92, '.')],
    [
      'NEWOBJ_EX with keywords',
      (p) => void p.global('utils', 'HParams').raw(')}').text('a').integer(1).raw('s', 0x92, '.'),
    ],
    ['REDUCE over data', (p) => void p.text('os.system').raw(')R.')],
    ['REDUCE over a record', (p) => void hparams(p).raw(')R.')],
    ['REDUCE over a storage class', (p) => void p.global('torch', 'FloatStorage').raw(')R.')],
    [
      'BUILD of __setstate__',
      (p) => void hparams(p).raw('}').text('__setstate__').global('utils', 'HParams').raw('sb.'),
    ],
    ['BUILD of __class__', (p) => void hparams(p).raw('}').text('__class__').text('x').raw('sb.')],
    ['BUILD of __reduce__ in slots', (p) => void hparams(p).raw('N}').text('__reduce__').none().raw('s', 0x86, 'b.')],
    ['BUILD of a class', (p) => void p.global('utils', 'HParams').raw('}').text('a').integer(1).raw('sb.')],
    ['BUILD of a function', (p) => void p.global('torch._utils', '_rebuild_tensor_v2').raw('}b.')],
    ['BUILD of text', (p) => void p.text('x').raw('}b.')],
    ['BUILD of a list', (p) => void p.raw(']}b.')],
    ['EXT1', (p) => void p.raw(0x82, 1, ')R.')],
    ['EXT2', (p) => void p.raw(0x83, 1, 0, ')R.')],
    ['EXT4', (p) => void p.raw(0x84, 1, 0, 0, 0, ')R.')],
    ['PERSID', (p) => void p.raw('Pos.system\n.')],
    ['PERSID without a line', (p) => void p.raw('P\n.')],
    ['BINPERSID over text', (p) => void p.text('storage').raw('Q.')],
    ['BINPERSID over a dictionary', (p) => void p.raw('}Q.')],
    ['BINPERSID over None', (p) => void p.raw('NQ.')],
    ['BINPERSID over an empty tuple', (p) => void p.raw(')Q.')],
    ['BINPERSID over source code', (p) => void p.tuple(() => p.text('module').text('x').text('import os')).raw('Q.')],
    ['SETITEM on a record', (p) => void hparams(p).text('a').integer(1).raw('s.')],
    ['SETITEMS on a global', (p) => void p.global('utils', 'HParams').mark().text('a').integer(1).raw('u.')],
    [
      'a key called __proto__',
      (p) => void p.raw('}').text('__proto__').raw('}').text('polluted').integer(1).raw('ss.'),
    ],
    ['a field called __proto__', (p) => void hparams(p).raw('}').text('__proto__').raw('}sb.')],
    [
      'a pair called __proto__',
      (p) => void p.global('collections', 'OrderedDict').raw('(](](').text('__proto__').raw('}eetR.'),
    ],
  ])('by %s is refused as unsafe', (_, write) => {
    expect(refusal(write).code).toBe('CHECKPOINT_UNSAFE');
  });

  it('is told what it names, on one short line', () => {
    const { message } = refusal(callByReduce('os\u2028', 'x'.repeat(3000), COMMAND));
    expect(message.length).toBeLessThan(500);
    expect(refusal(callByReduce('os', 'system', COMMAND)).message).toMatch(
      /names "os.system", which is not on the list/,
    );
  });

  it('cannot reach prototypes through keys that JavaScript knows', () => {
    const value = plainValueOf((p) => {
      p.raw('}').text('constructor').raw('}').text('prototype').raw('}').text('polluted').integer(1).raw('sss');
      p.text('toString').integer(1).raw('s').text('hasOwnProperty').none().raw('s');
    });
    expect(value).toEqual({ constructor: { prototype: { polluted: 1 } }, toString: 1, hasOwnProperty: null });
    expect(Object.getPrototypeOf(value)).toBe(null);
  });

  it('is not run when it stands where only the oldest format would read it', () => {
    const evil = new PickleWriter().protocol();
    callByReduce('os', 'system', COMMAND)(evil);
    expect(refusalOf(scratch.file(evil.bytes())).code).toBe('CHECKPOINT_UNSAFE');
  });
});

const MiB = 2 ** 20;

describe('a damaged or oversized pickle', () => {
  it.each<[string, (p: PickleWriter) => void]>([
    ['nothing at all', () => {}],
    ['no end', (p) => void p.raw('}')],
    ['an end over an empty stack', (p) => void p.raw('.')],
    ['an end over a mark', (p) => void p.mark().stop()],
    ['an end over two values', (p) => void p.raw('}}.')],
    ['data behind its end', (p) => void p.raw('}..')],
    ['an unknown instruction', (p) => void p.raw(0xff)],
    ['a pop from nothing', (p) => void p.raw('0}.')],
    ['a mark that is missing', (p) => void p.raw('NNt.')],
    ['a popped mark', (p) => void p.raw('(0t.')],
    ['a tuple of a mark', (p) => void p.raw('(', 0x85, '.')],
    ['a duplicate of nothing', (p) => void p.raw('2.')],
    ['an append to a dictionary', (p) => void p.raw('}Na.')],
    ['appends to a tuple', (p) => void p.raw(')(Ne.')],
    ['items added to a list', (p) => void p.raw('](N', 0x90, '.')],
    ['a key without value', (p) => void p.raw('}(Nu.')],
    ['a list as key', (p) => void p.raw('}]Ns.')],
    ['a dictionary as member of a set', (p) => void p.raw(0x8f, '(}', 0x90, '.')],
    ['a frozen set of lists', (p) => void p.raw('(]', 0x91, '.')],
    ['a memo entry never set', (p) => void p.raw('h', 7, '.')],
    ['a long memo entry never set', (p) => void p.raw('j', uint32(0xffffffff), '.')],
    ['a memo index that is no number', (p) => void p.raw('gx\n.')],
    ['a negative memo index', (p) => void p.raw('Np-1\n.')],
    ['a memo of nothing', (p) => void p.raw('q', 0, '.')],
    ['a memo of a mark', (p) => void p.raw('(q', 0, '.')],
    ['an integer of letters', (p) => void p.raw('Iabc\n.')],
    ['an integer that Python would run', (p) => void p.raw('L__import__("os")L\n.')],
    ['a float of letters', (p) => void p.raw('Fabc\n.')],
    ['an empty float', (p) => void p.raw('F\n.')],
    ['a string without quotes', (p) => void p.raw('Sabc\n.')],
    ['a string with one quote', (p) => void p.raw("S'\n.")],
    ['text that is not UTF-8', (p) => void p.raw('X', uint32(2), Buffer.from('ff00', 'hex'), '.')],
    ['an escape beyond Unicode', (p) => void p.raw('V\\UFFFFFFFF\n.')],
    ['a global of a number', (p) => void p.integer(1).text('x').raw(0x93, '.')],
    ['a call with a list', (p) => void p.global('torch', 'Size').raw(']R.')],
    ['a record with arguments', (p) => void p.global('utils', 'HParams').raw('N', 0x85, 0x81, '.')],
    ['a state that is a list', (p) => void p.global('utils', 'HParams').raw(')', 0x81, ']b.')],
    ['a field named by a number', (p) => void p.global('utils', 'HParams').raw(')', 0x81, '}NNsb.')],
    ['a path of numbers', (p) => void p.global('pathlib', 'PosixPath').raw('K', 1, 0x85, 'R.')],
    ['a bytearray by length', (p) => void p.global('builtins', 'bytearray').raw('J', uint32(0x7fffffff), 0x85, 'R.')],
    ['an OrderedDict of a number', (p) => void p.global('collections', 'OrderedDict').raw('K', 1, 0x85, 'R.')],
    ['a tensor of nothing', (p) => void p.global('torch._utils', '_rebuild_tensor_v2').raw(')R.')],
    ['a parameter of nothing', (p) => void p.global('torch._utils', '_rebuild_parameter').raw(')R.')],
    [
      'a storage of an unknown class',
      (p) => void p.tuple(() => p.text('storage').text('x').text('0').text('cpu').integer(1)).raw('Q.'),
    ],
    [
      'a storage of negative length',
      (p) =>
        void p
          .tuple(() => p.text('storage').global('torch', 'FloatStorage').text('0').text('cpu').integer(-1))
          .raw('Q.'),
    ],
    [
      'a storage view beyond its storage',
      (p) =>
        void p
          .tuple(() =>
            p
              .text('storage')
              .global('torch', 'FloatStorage')
              .text('0')
              .text('cpu')
              .integer(4)
              .tuple(() => p.text('1').integer(2).integer(3)),
          )
          .raw('Q.'),
    ],
    ['text longer than the file', (p) => void p.raw('X', uint32(0xffffffff), 'x')],
    ['long text longer than the file', (p) => void p.raw(0x8d, uint64(2n ** 63n), 'x')],
    ['short text longer than the file', (p) => void p.raw(0x8c, 255, 'x')],
    ['a byte string longer than the file', (p) => void p.raw('B', uint32(0xffffffff), 'x')],
    ['a long byte string longer than the file', (p) => void p.raw(0x8e, uint64(2n ** 64n - 1n), 'x')],
    ['a byte array longer than the file', (p) => void p.raw(0x96, uint64(2n ** 40n), 'x')],
    ['a Python 2 string longer than the file', (p) => void p.raw('T', uint32(0x7fffffff), 'x')],
    ['a short Python 2 string longer than the file', (p) => void p.raw('U', 200, 'x')],
    ['an integer longer than the file', (p) => void p.raw(0x8b, uint32(0x7fffffff), 'x')],
    ['a frame longer than the file', (p) => void p.raw(0x95, uint64(2n ** 50n), 'x')],
    ['a line without end', (p) => void p.raw('Vabc')],
  ])('with %s is refused as corrupt', (_, write) => {
    expect(refusal(write).code).toBe('CHECKPOINT_CORRUPT');
  });

  it.each<[string, (p: PickleWriter) => void]>([
    ['protocol 6', (p) => void p.protocol(6).raw('}.')],
    ['buffers outside the file', (p) => void p.raw(0x97, '.')],
    ['read-only buffers', (p) => void p.raw('N', 0x98, '.')],
    ['complex numbers', (p) => void p.global('torch', 'ComplexFloatStorage').stop()],
    ['a list at the top', (p) => void p.raw('].')],
    ['text at the top', (p) => void p.text('x').stop()],
  ])('with %s is refused as unsupported', (_, write) => {
    expect(refusal(write).code).toBe('CHECKPOINT_UNSUPPORTED');
  });

  it.each<[string, (p: PickleWriter) => void]>([
    ['integer of 300 bytes', (p) => void p.raw(0x8b, uint32(300), Buffer.alloc(300, 1), '.')],
    ['decimal of a million digits', (p) => void p.raw('L', '9'.repeat(1_000_000), 'L\n.')],
    ['name of a million letters', (p) => void p.raw('c', 'x'.repeat(1_000_000), '\ny\n.')],
    ['string of 17 MiB', (p) => void p.raw('X', uint32(17 * MiB), Buffer.alloc(17 * MiB, 0x61), '.')],
    ['line of 17 MiB', (p) => void p.raw('V', Buffer.alloc(17 * MiB, 0x61), '\n.')],
    ['stack of a million values', (p) => void p.raw(Buffer.alloc(1_000_000, 'N'))],
    ['stack of a million marks', (p) => void p.raw(Buffer.alloc(1_000_000, '('))],
    ['stack of duplicates', (p) => void p.raw('N', Buffer.alloc(1_000_000, '2'))],
    ['heap of five million lists', (p) => void p.raw(']', Buffer.alloc(10_000_000, ']a'))],
    ['run of five million instructions', (p) => void p.raw('N', Buffer.alloc(10_000_000, 'N0'))],
    ['memo of two million entries', (p) => void p.raw('}', Buffer.alloc(2_000_000, 0x94))],
    [
      'value nested a hundred deep',
      (p) => void p.raw('}').text('x').raw(Buffer.alloc(100, ']'), Buffer.alloc(99, 'a'), 's.'),
    ],
    [
      'value nested a hundred thousand deep',
      (p) => void p.raw('}').text('x').raw(Buffer.alloc(100_000, ']'), Buffer.alloc(99_999, 'a'), 's.'),
    ],
  ])('that asks for a %s is refused at the limit', (_, write) => {
    expect(refusal(write).code).toBe('CHECKPOINT_LIMIT');
  });

  it('is refused at the limit when a small graph expands without end', () => {
    // Sixty lists, each holding the one before twice: 2^60 values.
    const bomb = (p: PickleWriter) => {
      p.raw('}').text('x').raw(']q', 0);
      for (let i = 0; i < 60; i++) p.raw('](h', i, 'h', i, 'eq', i + 1);
      // Only the last one is kept, under "x".
      p.raw('q', 99, Buffer.alloc(61, '0'));
      p.raw('h', 99, 's.');
    };
    expect(refusal(bomb).code).toBe('CHECKPOINT_LIMIT');
  });

  it('is refused at the limit when one long string is repeated', () => {
    const bomb = (p: PickleWriter) => {
      p.raw('}').text('x').raw('](').text('a'.repeat(1_000_000)).raw('q', 0);
      for (let i = 0; i < 200; i++) p.raw('h', 0);
      p.raw('es.');
    };
    expect(refusal(bomb).code).toBe('CHECKPOINT_LIMIT');
  });

  it.each<[string, (p: PickleWriter) => void]>([
    ['list', (p) => void p.raw('}').text('x').raw(']q', 0, 'h', 0, 'as.')],
    ['dictionary', (p) => void p.raw('}q', 0).text('x').raw('h', 0, 's.')],
    ['tuple in its own list', (p) => void p.raw('}').text('x').raw(']q', 0, 'h', 0, 0x85, 'as.')],
    [
      'record',
      (p) =>
        void p.raw('}').text('x').global('utils', 'HParams').raw(')', 0x81, 'q', 0, '}').text('me').raw('h', 0, 'sbs.'),
    ],
    ['state dict', (p) => void p.raw('}q', 0).text('weight').raw('h', 0, 's.')],
  ])('is refused when a %s contains itself', (_, write) => {
    expect(refusal(write)).toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      message: expect.stringMatching(/contains itself/),
    });
  });

  it('never needs much memory to be refused', () => {
    const path = scratch.torchZip(new PickleWriter().raw(']', Buffer.alloc(30_000_000, ']a')));
    const before = process.memoryUsage();
    expect(refusalOf(path).code).toBe('CHECKPOINT_LIMIT');
    const after = process.memoryUsage();
    expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(400 * MiB);
  });
});

describe('a tensor', () => {
  const one = { 0: bytesOf(new Float32Array(16)) };
  type Options = Parameters<PickleWriter['tensor']>[0];
  const tensorFile = (options: Partial<Options>, storages: Readonly<Record<string, Uint8Array>> = one) =>
    scratch.torchDict(
      (p) => void p.text('a').tensor({ storageClass: 'FloatStorage', key: '0', elements: 16, shape: [16], ...options }),
      storages,
    );

  it.each<[string, Partial<Options>]>([
    ['an offset beyond its storage', { offset: 1 }],
    ['a stride beyond its storage', { shape: [4], stride: [6] }],
    ['more elements than its storage', { shape: [17] }],
    ['a huge stride', { shape: [2], stride: [2 ** 52] }],
    ['a huge offset', { shape: [1], offset: 2 ** 52 }],
    ['a storage longer than the file says', { elements: 17, shape: [1] }],
    ['a storage shorter than the file says', { elements: 15, shape: [1] }],
    ['a storage of another width', { storageClass: 'DoubleStorage' }],
    ['a storage that is missing', { key: '1' }],
    ['a storage that climbs out', { key: '../data.pkl' }],
    ['a negative size', { shape: [-4], stride: [1] }],
    ['a negative stride', { shape: [4], stride: [-1], offset: 8 }],
    ['a shape and stride of different length', { shape: [4, 4], stride: [1] }],
    ['forty dimensions', { shape: new Array(40).fill(1) }],
  ])('with %s is refused as corrupt', (_, options) => {
    expect(refusalOf(tensorFile(options)).code).toBe('CHECKPOINT_CORRUPT');
  });

  it.each<[string, Partial<Options>]>([
    ['2^40 elements over a stride of 0', { shape: [2 ** 20, 2 ** 20], stride: [0, 0] }],
    ['100 million elements over a stride of 0', { shape: [100_000_000], stride: [0] }],
    ['an overflowing product of sizes', { shape: [2 ** 40, 2 ** 40], stride: [0, 0] }],
  ])('with %s is refused at the limit', (_, options) => {
    expect(refusalOf(tensorFile(options)).code).toBe('CHECKPOINT_LIMIT');
  });

  it('may be empty whatever its other sizes and its place', () => {
    const checkpoint = openCheckpoint(tensorFile({ shape: [2 ** 40, 0, 2 ** 40], stride: [0, 0, 0], offset: 99 }));
    expect(checkpoint.tensors.get('a')?.readFloat32().length).toBe(0);
    checkpoint.close();
  });

  it('is one of at most as many as allowed, whose views add up to a few times the file', () => {
    const many = (count: number, elements: number) =>
      scratch.torchDict(
        (p) => {
          for (let i = 0; i < count; i++) {
            p.text(`t${i}`).tensor({ storageClass: 'FloatStorage', key: '0', elements, shape: [elements] });
          }
        },
        { 0: bytesOf(new Float32Array(elements)) },
      );
    expect(refusalOf(many(11, 1), { tensors: 10 }).code).toBe('CHECKPOINT_LIMIT');
    expect(refusalOf(many(200, 100_000)).message).toMatch(/add up to more than 4 times the file/);
  });
});
