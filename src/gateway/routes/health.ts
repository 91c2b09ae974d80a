import type { FastifyInstance } from 'fastify';
import { ReadyAnswer } from '../../api/resources.js';
import type { GatewayOptions } from '../app.js';

/** `/healthz` (this process answers), `/readyz` (it can synthesise now), `/metrics` (Prometheus text). */
export function registerHealthRoutes(
  app: FastifyInstance,
  { catalog, queue, audioStore, metrics, draining }: GatewayOptions,
): void {
  app.get('/healthz', { config: { access: 'public' } }, async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    return { status: 'ok' };
  });

  app.get(
    '/readyz',
    { config: { access: 'public' }, schema: { response: { '2xx': ReadyAnswer, 503: ReadyAnswer } } },
    async (_request, reply): Promise<ReadyAnswer> => {
      const { state, reason } = catalog.status();
      const ready = state === 'ready' && !draining.aborted;
      reply.code(ready ? 200 : 503).header('cache-control', 'no-store');
      return {
        status: ready ? 'ready' : 'not_ready',
        engine: state,
        reason: ready ? null : draining.aborted ? 'the server is shutting down' : (reason ?? `the engine is ${state}`),
      };
    },
  );

  metrics.registry.onCollect(() => {
    metrics.queueDepth.set(queue.depth.waiting, { state: 'waiting' });
    metrics.queueDepth.set(queue.depth.running, { state: 'running' });
    metrics.storedAudioBytes.set(audioStore.totalBytes);
    metrics.engineRssBytes.set(catalog.status().rssBytes);
    metrics.processRssBytes.set(process.memoryUsage.rss());
  });
  app.get('/metrics', { config: { access: 'public' } }, async (_request, reply) => {
    reply.type('text/plain; version=0.0.4; charset=utf-8').header('cache-control', 'no-store');
    return metrics.registry.render();
  });
}
