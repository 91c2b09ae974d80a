import type { ComponentStore } from './component-store.js';
import type { Runtime, Session } from './onnxruntime.js';

/** Sessions of a component's graphs, each made once: ahead, while the thread does other things, or when it is asked for. */
export class GraphSessions {
  readonly #store: ComponentStore;
  readonly #digest: string;
  readonly #runtime: Runtime;
  readonly #sessions = new Map<string, Session>();
  readonly #opening = new Map<string, Promise<void>>();
  #closed = false;

  constructor(store: ComponentStore, digest: string, runtime: Runtime) {
    this.#store = store;
    this.#digest = digest;
    this.#runtime = runtime;
  }

  /**
   * Makes those of `graphs` that are not there yet, one after the other: at once, they would take the processors from who is
   * being spoken to. Null where all are there. Rejects with what the first failure threw.
   */
  open(graphs: readonly string[]): Promise<void> | null {
    return graphs.every((graph) => this.#sessions.has(graph)) ? null : this.#openInTurn(graphs);
  }

  /** The session of a graph, made at once if it is not there: then others of the thread wait for it. */
  session(graph: string): Session {
    const known = this.#sessions.get(graph);
    if (known) return known;
    const session = this.#store.createSession(this.#store.load(this.#digest), graph, this.#runtime);
    this.#sessions.set(graph, session);
    return session;
  }

  /** Closes all, those included that are still being made. */
  close(): void {
    this.#closed = true;
    for (const session of this.#sessions.values()) session.close();
    this.#sessions.clear();
  }

  async #openInTurn(graphs: readonly string[]): Promise<void> {
    for (const graph of graphs) if (!this.#sessions.has(graph)) await this.#openOnce(graph);
  }

  #openOnce(graph: string): Promise<void> {
    const known = this.#opening.get(graph);
    if (known) return known;
    const opening = this.#open(graph).finally(() => this.#opening.delete(graph));
    this.#opening.set(graph, opening);
    return opening;
  }

  async #open(graph: string): Promise<void> {
    // By the manifest of now: the model may have been imported again for the graphs that take adapters.
    const session = await this.#store.openSession(this.#store.load(this.#digest), graph, this.#runtime);
    if (this.#closed || this.#sessions.has(graph)) session.close();
    else this.#sessions.set(graph, session);
  }
}

/**
 * Lets a task wait until graphs are open, while the others of its thread go on. What could not be opened is tried again,
 * and fails, where it is asked for.
 */
export function* whenOpen(sessions: GraphSessions, graphs: readonly string[]): Generator<Promise<void>, void, void> {
  const opening = sessions.open(graphs);
  if (opening) yield opening;
}
