import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../test/fixtures/databases.js';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';
import { loadTls, reloadTls } from './tls.js';

let folder: string;
let gateway: TestGateway;
let port: number;

function makeCertificate(name: string): { certFile: string; keyFile: string } {
  const files = { certFile: join(folder, `${name}.pem`), keyFile: join(folder, `${name}.key`) };
  const subject = ['-subj', `/CN=${name}`, '-days', '2', '-nodes'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  execFileSync('openssl', ['req', '-x509', ...key, ...subject, '-keyout', files.keyFile, '-out', files.certFile], {
    stdio: 'ignore',
  });
  return files;
}

/** What openssl says when it connects: the name of the cipher, or null for a refusal. */
function handshake(...options: string[]): Promise<string | null> {
  return new Promise((resolve) => {
    const child = execFile('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, ...options], (_error, out, err) => {
      const cipher = /^New, (TLSv[\d.]+), Cipher is (\S+)$/m.exec(out + err);
      resolve(cipher === null ? null : `${cipher[1]} ${cipher[2]}`);
    });
    child.stdin?.end();
  });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-tls-'));
  gateway = await startTestGateway({}, { tls: await loadTls(makeCertificate('first')) });
  port = Number(new URL(await gateway.app.listen({ host: '127.0.0.1', port: 0 })).port);
});

afterAll(async () => {
  await gateway.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('TLS', () => {
  it('is spoken in version 1.3, with each of its strong ciphers', async () => {
    for (const cipher of ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256']) {
      expect(await handshake('-tls1_3', '-ciphersuites', cipher)).toBe(`TLSv1.3 ${cipher}`);
    }
  });

  it('is refused in version 1.2 and before, with whatever ciphers, and with the weak ones of 1.3', async () => {
    const refused = [
      ['-tls1_2'],
      ['-tls1_2', '-cipher', 'ALL:COMPLEMENTOFALL:@SECLEVEL=0'],
      ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
      ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'],
      ['-tls1', '-cipher', 'ALL:@SECLEVEL=0'],
      ['-no_tls1_3', '-cipher', 'ALL:@SECLEVEL=0'],
      ['-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_SHA256'],
      ['-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_8_SHA256'],
    ];
    for (const options of refused)
      expect({ options, got: await handshake(...options) }).toEqual({ options, got: null });
  });

  it('serves a new certificate without a restart, and the old one to those who are there', async () => {
    const server = gateway.app.server as unknown as Server;
    const { certFile, keyFile } = makeCertificate('served');
    const reloading = reloadTls(server, { certFile, keyFile }, { log: silentLog, everyMs: 30 });
    const open = () =>
      new Promise<TLSSocket>((resolve, reject) => {
        const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => resolve(socket));
        socket.once('error', reject);
      });
    const nameOf = (socket: TLSSocket) => socket.getPeerCertificate().subject.CN;
    const served = async () => {
      const socket = await open();
      const name = nameOf(socket);
      socket.destroy();
      return name;
    };
    const early = await open();
    expect(nameOf(early)).toBe('first');
    // The key of another certificate for a moment: the old pair goes on.
    const next = makeCertificate('second');
    execFileSync('cp', [next.keyFile, keyFile]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await served()).toBe('first');
    execFileSync('cp', [next.certFile, certFile]);
    await expect.poll(served, { timeout: 10_000 }).toBe('second');
    early.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    const answer = await new Promise<string>((resolve) => {
      let text = '';
      early.on('data', (data) => (text += String(data))).once('close', () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer.toLowerCase()).toContain('strict-transport-security: max-age=');
    reloading.stop();
  });

  it('needs a certificate and a key that belong together', async () => {
    const [one, two] = [makeCertificate('one'), makeCertificate('two')];
    await expect(loadTls({ certFile: one.certFile, keyFile: two.keyFile })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    await expect(loadTls({ ...one, keyFile: join(folder, 'none') })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});
