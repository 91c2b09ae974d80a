import { createPublicKey, type KeyObject, verify as verifySignature } from 'node:crypto';
import { AppError } from '../errors.js';
import type { Database } from '../store/database.js';
import { type AnchorRow, anchorMessage } from './anchors.js';
import { canonicalJson, chainHash } from './chain.js';

/** A record as it is stored and exported. */
export interface StoredRecord {
  readonly seq: number;
  /** The record as it was hashed. */
  readonly body: string;
  /** Hex. */
  readonly hash: string;
}

/** Where a chain begins (the record before it was pruned, or there was none) and ends. */
export interface ChainEnds {
  readonly tenantId: string;
  readonly prunedSeq: number;
  readonly prunedHash: string;
  readonly lastSeq: number;
  readonly lastHash: string;
}

export interface ChainReport {
  readonly tenantId: string;
  readonly records: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Signed daily anchors that the chain agrees with. */
  readonly anchors: number;
}

export interface ChainSource {
  readonly ends: ChainEnds;
  readonly anchors: readonly AnchorRow[];
  records(): AsyncIterable<StoredRecord>;
}

const PAGE = 1000;

/**
 * Checks a chain from its first record to its last: every hash, that no number is missing, that each record says its
 * own number and tenant, that it ends where it should, and that it agrees with every signed anchor.
 *
 * Throws `AUDIT_BROKEN` naming the first record that does not fit.
 */
export async function verifyChain(source: ChainSource, publicKeys: readonly KeyObject[]): Promise<ChainReport> {
  const { ends } = source;
  const anchors = new Map(source.anchors.map((anchor) => [anchor.seq, anchor]));
  for (const anchor of source.anchors) {
    const message = anchorMessage(ends.tenantId, anchor);
    if (!publicKeys.some((key) => verifySignature(null, message, key, Buffer.from(anchor.signature, 'hex')))) {
      throw broken(ends.tenantId, `the anchor of ${anchor.day} is not signed by the key of this installation`);
    }
    if (anchor.seq > ends.lastSeq) {
      const what = `the anchor of ${anchor.day} knows the record ${anchor.seq}`;
      throw broken(ends.tenantId, `${what}, but the chain ends with ${ends.lastSeq}: its end was cut off`);
    }
  }
  let hash: Uint8Array = Buffer.from(ends.prunedHash, 'hex');
  let seq = ends.prunedSeq;
  let agreed = 0;
  for await (const record of source.records()) {
    seq++;
    const at = `record ${seq}`;
    if (record.seq !== seq) throw broken(ends.tenantId, `${at} is missing; the next one there is ${record.seq}`);
    hash = chainHash(hash, record.body);
    if (Buffer.from(hash).toString('hex') !== record.hash) {
      throw broken(ends.tenantId, `${at} is not as it was written, or the one before it is not`);
    }
    checkBody(record, seq, ends.tenantId);
    const anchor = anchors.get(seq);
    if (anchor === undefined) continue;
    if (anchor.hash !== record.hash) {
      throw broken(
        ends.tenantId,
        `${at} is not the one that was anchored on ${anchor.day}: records up to it were rewritten`,
      );
    }
    agreed++;
  }
  if (seq !== ends.lastSeq || Buffer.from(hash).toString('hex') !== ends.lastHash) {
    throw broken(ends.tenantId, `the chain ends with record ${seq}, but should with ${ends.lastSeq}`);
  }
  const firstSeq = ends.prunedSeq + 1;
  return { tenantId: ends.tenantId, records: seq - ends.prunedSeq, firstSeq, lastSeq: seq, anchors: agreed };
}

function checkBody({ body }: StoredRecord, seq: number, tenantId: string): void {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (error) {
    throw broken(tenantId, `record ${seq} is not JSON`, error);
  }
  const record = value as { seq?: unknown; tenant?: unknown } | null;
  if (record?.seq !== seq || record.tenant !== tenantId) {
    throw broken(tenantId, `record ${seq} says it is number ${String(record?.seq)} of ${String(record?.tenant)}`);
  }
}

/** A tenant's chain in the database, as it is at one moment. */
export async function readChain(database: Database, tenantId: string): Promise<ChainSource> {
  const { ends, anchors } = await database.asTenant(tenantId, async (sql) => {
    const { rows } = await sql.query<{ pruned_seq: number; pruned: string; last_seq: number; last: string }>(
      `SELECT pruned_seq, encode(pruned_hash, 'hex') AS pruned, last_seq, encode(last_hash, 'hex') AS last
       FROM audit_chains WHERE tenant_id = $1`,
      [tenantId],
    );
    const none = '00'.repeat(32);
    const row = rows[0] ?? { pruned_seq: 0, pruned: none, last_seq: 0, last: none };
    const found = await sql.query<AnchorRow>(
      `SELECT to_char(day, 'YYYY-MM-DD') AS day, seq, encode(hash, 'hex') AS hash, encode(signature, 'hex') AS signature
       FROM audit_anchors WHERE tenant_id = $1 AND seq > $2 ORDER BY day`,
      [tenantId, row.pruned_seq],
    );
    return {
      ends: {
        tenantId,
        prunedSeq: row.pruned_seq,
        prunedHash: row.pruned,
        lastSeq: row.last_seq,
        lastHash: row.last,
      },
      anchors: found.rows,
    };
  });
  return {
    ends,
    anchors,
    async *records() {
      for (let from = ends.prunedSeq; from < ends.lastSeq; from += PAGE) {
        const { rows } = await database.asTenant(tenantId, (sql) =>
          sql.query<StoredRecord>(
            `SELECT seq, body, encode(hash, 'hex') AS hash FROM audit_records
             WHERE tenant_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq`,
            [tenantId, from, Math.min(from + PAGE, ends.lastSeq)],
          ),
        );
        yield* rows;
      }
    },
  };
}

/** A chain as lines of JSON: its ends, its anchors, its records. It verifies anywhere, without the database. */
export async function* exportChain(source: ChainSource, publicKey: KeyObject): AsyncGenerator<string, void, undefined> {
  const key = createPublicKey(publicKey).export({ format: 'der', type: 'spki' }).toString('base64');
  const { ends } = source;
  yield `${canonicalJson({ format: 'timbre audit export 1', ...ends, publicKey: key })}\n`;
  for (const anchor of source.anchors) yield `${canonicalJson({ anchor: { ...anchor } })}\n`;
  for await (const record of source.records()) yield `${canonicalJson({ record: { ...record } })}\n`;
}

/**
 * An export, to be verified. `trusted`: the installation's public key as its operator knows it; the one in the file
 * only tells that the file fits together.
 */
export async function readExport(
  lines: AsyncIterable<string>,
): Promise<{ readonly source: ChainSource; readonly publicKey: KeyObject }> {
  const iterator = lines[Symbol.asyncIterator]();
  const first = await iterator.next();
  let ends: ChainEnds & { readonly format?: string; readonly publicKey: string };
  try {
    ends = JSON.parse(first.done ? '' : first.value);
    if (ends.format !== 'timbre audit export 1') throw new Error('another format');
  } catch (error) {
    throw new AppError('AUDIT_BROKEN', 'this is no export of audit records', { cause: error });
  }
  const anchors: AnchorRow[] = [];
  let next = await iterator.next();
  while (!next.done && next.value.startsWith('{"anchor"')) {
    anchors.push(JSON.parse(next.value).anchor);
    next = await iterator.next();
  }
  return {
    publicKey: createPublicKey({ key: Buffer.from(ends.publicKey, 'base64'), format: 'der', type: 'spki' }),
    source: {
      ends,
      anchors,
      async *records() {
        for (let line = next; !line.done; line = await iterator.next()) {
          if (line.value !== '') yield (JSON.parse(line.value) as { record: StoredRecord }).record;
        }
      },
    },
  };
}

function broken(tenantId: string, what: string, cause?: unknown): AppError {
  return new AppError('AUDIT_BROKEN', `the audit chain of ${tenantId} does not verify: ${what}`, { cause });
}
