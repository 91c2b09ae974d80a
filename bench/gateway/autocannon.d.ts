/** The little of autocannon that is used here. */
declare module 'autocannon' {
  interface Options {
    readonly url: string;
    readonly method?: 'GET' | 'POST';
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
    readonly connections?: number;
    readonly duration?: number;
    readonly setupClient?: (client: LoadClient) => void;
  }
  /** One connection; keeps the bodies of answers. */
  export interface LoadClient {
    readonly pipelinedRequests: { addBody(data: Uint8Array): void };
  }
  interface Result {
    readonly requests: { readonly average: number; readonly total: number };
    readonly latency: { readonly p50: number; readonly p99: number };
    readonly non2xx: number;
    readonly errors: number;
  }
  export default function autocannon(options: Options): Promise<Result>;
}
