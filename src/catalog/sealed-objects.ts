import type { Vault } from '../vault/vault.js';

/** Puts bytes into the vault. @returns the object's id. */
export type Seal = (kind: string, bytes: Uint8Array) => Promise<string>;

/** What `work` seals for its rows goes again where it throws: objects without a row are nobody's. */
export async function sealing<T>(
  vault: Vault,
  tenantId: string,
  work: (seal: Seal) => Promise<T>,
  options: { readonly signal?: AbortSignal } = {},
): Promise<T> {
  const sealed: string[] = [];
  const seal: Seal = async (kind, bytes) => {
    const { id } = await vault.put(tenantId, kind, once(bytes), options);
    sealed.push(id);
    return id;
  };
  try {
    return await work(seal);
  } catch (error) {
    for (const id of sealed) await vault.remove(tenantId, id).catch(() => {});
    throw error;
  }
}

/** All bytes of an object. Throws `OBJECT_NOT_FOUND`. */
export async function readSealed(vault: Vault, tenantId: string, id: string): Promise<Buffer> {
  return await readAll((await vault.open(tenantId, id)).read());
}

/** As `buffer` of node:stream/consumers, which goes through a Blob and takes three times as long. */
export async function readAll(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}
