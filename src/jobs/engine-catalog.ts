/** What gateways may ask about the engines behind the queue; a worker answers, here or elsewhere. */

export interface VoiceRecord {
  readonly name: string;
  readonly language: string;
  readonly transcript: string | null;
  readonly model: string;
  readonly durationMs: number;
  readonly createdAt: string;
  readonly warnings: readonly string[];
}

export interface ModelRecord {
  readonly name: string;
  readonly version: string;
  readonly sampleRateHz: number;
  readonly sizeBytes: number;
  readonly digest: string;
  readonly precision: string;
  readonly hasBert: boolean;
  readonly createdAt: string;
  readonly warnings: readonly string[];
}

export interface EngineStatus {
  readonly state: 'starting' | 'ready' | 'restarting' | 'draining' | 'closed';
  /** Why the engine is not ready, for operators. */
  readonly reason: string | null;
  readonly rssBytes: number;
}

export interface EngineCatalog {
  readonly defaultVoice: string | null;
  listVoices(options?: { readonly signal?: AbortSignal }): Promise<readonly VoiceRecord[]>;
  listModels(options?: { readonly signal?: AbortSignal }): Promise<readonly ModelRecord[]>;
  status(): EngineStatus;
}
