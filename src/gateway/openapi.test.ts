import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectSocket } from '../../test/fixtures/socket-client.js';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';

let gateway: TestGateway;

beforeEach(async () => {
  gateway = await startTestGateway();
});

afterEach(async () => {
  await gateway.close();
});

interface Document {
  readonly openapi: string;
  readonly paths: Record<
    string,
    Record<
      string,
      { parameters?: { name: string }[]; requestBody?: { content: Record<string, { schema: { properties: object } }> } }
    >
  >;
}

describe('/openapi.json', () => {
  it('has every route there is, and the schemas that check its requests', async () => {
    const { openapi, paths } = (await gateway.app.inject('/openapi.json')).json<Document>();
    expect(openapi).toBe('3.1.0');
    const documented = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    // Fastify's own list, as a tree: each line has a path's last part and its methods.
    const printed = gateway.app.printRoutes({ commonPrefix: false });
    const routeCount = [...printed.matchAll(/\(([A-Z, ]+)\)/g)]
      .flatMap(([, methods]) => methods!.split(', '))
      .filter((method) => method !== 'HEAD' && method !== 'OPTIONS').length;
    expect(documented.length).toBe(routeCount);
    const speech = paths['/v1/audio/speech']?.['post']?.requestBody?.content['application/json']?.schema;
    expect(Object.keys(speech?.properties ?? {})).toEqual(
      expect.arrayContaining(['model', 'input', 'voice', 'response_format']),
    );
    expect(paths['/synthesize']?.['get']?.parameters?.map(({ name }) => name)).toContain('speaker_id');
    expect(paths['/v1/text-to-speech/{voice_id}']?.['post']?.parameters?.map(({ name }) => name)).toContain(
      'output_format',
    );
  });

  it('is there for reading too, without a script', async () => {
    const page = await gateway.app.inject('/docs');
    expect(page.headers['content-type']).toMatch(/^text\/html/);
    expect(page.body).toContain('POST /v1/audio/speech');
    expect(page.body).not.toContain('<script');
  });
});

describe('headers', () => {
  it('keep browsers from guessing, framing and loading', async () => {
    const { headers } = await gateway.app.inject('/healthz');
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
    });
    expect(headers['strict-transport-security']).toBeUndefined();
  });
});

describe('web pages', () => {
  const origin = 'https://app.example.com';
  const preflight = (from: string) =>
    gateway.app.inject({
      method: 'OPTIONS',
      url: '/v1/audio/speech',
      headers: { origin: from, 'access-control-request-method': 'POST' },
    });

  it('may not call unless their origin is configured', async () => {
    expect((await preflight(origin)).headers['access-control-allow-origin']).toBeUndefined();
    await gateway.close();
    gateway = await startTestGateway({ corsOrigins: `${origin},https://other.example.com` });
    const allowed = await preflight(origin);
    expect([allowed.statusCode, allowed.headers['access-control-allow-origin']]).toEqual([204, origin]);
    expect(allowed.headers['access-control-allow-headers']).toContain('authorization');
    expect((await preflight('https://evil.example.com')).headers['access-control-allow-origin']).toBeUndefined();
    const answer = await gateway.app.inject({ url: '/healthz', headers: { origin } });
    expect(answer.headers).toMatchObject({ 'access-control-allow-origin': origin, vary: 'origin' });
  });

  it('of a foreign origin may not open a WebSocket either', async () => {
    const url = await gateway.app.listen({ host: '127.0.0.1', port: 0 });
    await expect(connectSocket(`${url}/v1/stream`, { origin: 'https://evil.example.com' })).rejects.toThrow('400');
    const own = await connectSocket(`${url}/v1/stream`, { origin: url });
    own.socket.close();
  });
});
