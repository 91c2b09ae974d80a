/** What a decoder makes of a piece of a file; the fields are those of the WebAssembly decoders. */
export interface DecodedPiece {
  readonly channelData: Float32Array[];
  readonly samplesDecoded: number;
  readonly sampleRate: number;
  readonly errors: readonly unknown[];
}
