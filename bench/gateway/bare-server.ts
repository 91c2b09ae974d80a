/** A bare Fastify that answers the same request with as many bytes, and does nothing else. */
import fastify from 'fastify';

const app = fastify();
const payload = Buffer.alloc(Number(process.argv[2]), 1);
app.post('/v1/audio/speech', async (_request, reply) => reply.type('audio/mpeg').send(payload));
const url = await app.listen({ host: '127.0.0.1', port: 0 });
process.send?.({ type: 'listening', url, key: '' });
process.on('message', () => process.send?.({ type: 'usage', usage: process.cpuUsage() }));
process.on('disconnect', () => process.exit(0));
