/** The package types its main entry only; this is the part of the WebAssembly build that we use. */
declare module '@evan/opus/wasm/index.mjs' {
  export class Encoder {
    constructor(options: { channels: 1 | 2; application: 'voip' | 'audio'; sample_rate: number });
    /** Sets where a value is given, else reads. */
    ctl(command: number, value?: number): number;
    encode(pcm16: Uint8Array): Uint8Array;
    drop(): void;
  }
}
