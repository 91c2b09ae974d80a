/** Writes packets of one logical stream into Ogg pages (RFC 3533). */
export class OggStream {
  readonly #serial: number;
  #sequence: number;

  /** @param sequence number of the next page. */
  constructor(serial: number, sequence = 0) {
    this.#serial = serial;
    this.#sequence = sequence;
  }

  /**
   * One page with whole packets. At most 255 lacing values fit: callers put few packets on a page.
   *
   * @param granule position of the last sample that is complete with this page; -1 where none is.
   */
  page(
    packets: readonly Uint8Array[],
    granule: bigint,
    { first = false, last = false }: { readonly first?: boolean; readonly last?: boolean } = {},
  ): Uint8Array {
    const lacing: number[] = [];
    for (const packet of packets) {
      for (let left = packet.length; left >= 255; left -= 255) lacing.push(255);
      lacing.push(packet.length % 255);
    }
    if (lacing.length > 255)
      throw new RangeError(`${lacing.length} lacing values on one Ogg page; expected at most 255`);
    const bodyBytes = packets.reduce((sum, packet) => sum + packet.length, 0);
    const page = new Uint8Array(27 + lacing.length + bodyBytes);
    const view = new DataView(page.buffer);
    page.set([0x4f, 0x67, 0x67, 0x53, 0, (first ? 2 : 0) | (last ? 4 : 0)]);
    view.setBigInt64(6, granule, true);
    view.setUint32(14, this.#serial, true);
    view.setUint32(18, this.#sequence++, true);
    page[26] = lacing.length;
    page.set(lacing, 27);
    let offset = 27 + lacing.length;
    for (const packet of packets) {
      page.set(packet, offset);
      offset += packet.length;
    }
    view.setUint32(22, oggChecksum(page), true);
    return page;
  }
}

/** The comment header of Opus (RFC 7845) and of Vorbis, each a packet: what both share of it comes from `vorbisComments`. */
export function opusCommentPacket(comments: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from('OpusTags', 'latin1'), comments]);
}

export function vorbisCommentPacket(comments: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from('\x03vorbis', 'latin1'), comments, Buffer.from([1])]);
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc >>> 0;
});

/** CRC-32 of a page whose checksum field is zero: polynomial 0x04c11db7, not reflected, from 0. */
export function oggChecksum(page: Uint8Array): number {
  let crc = 0;
  for (let i = 0; i < page.length; i++) crc = ((crc << 8) ^ CRC_TABLE[((crc >>> 24) ^ page[i]!) & 0xff]!) >>> 0;
  return crc;
}
