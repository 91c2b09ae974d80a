import { join } from 'node:path';
import { AuditLog } from '../audit/audit-log.js';
import { AdapterCatalog } from '../catalog/adapters.js';
import { LexiconCatalog } from '../catalog/lexicons.js';
import { VoiceCatalog } from '../catalog/voice-catalog.js';
import type { Config } from '../config.js';
import { AppError } from '../errors.js';
import type { Logger } from '../log.js';
import type { Database } from '../store/database.js';
import type { ObjectStore } from '../store/objects.js';
import { openDatabase } from '../store/open-database.js';
import { openObjects } from '../store/open-objects.js';
import { type Authenticator, createAuthenticator } from '../tenancy/authenticator.js';
import { type CallLedger, createCallLedger } from '../tenancy/call-ledger.js';
import { createPersonVerifier } from '../tenancy/people.js';
import { Quotas } from '../tenancy/quotas.js';
import { ensureDefaultTenant } from '../tenancy/tenants.js';
import { bookUsage } from '../tenancy/usage.js';
import { type MasterKeys, openMasterKeyFile } from '../vault/master-keys.js';
import { Vault } from '../vault/vault.js';

/** Everything that makes an enterprise's system of an engine: who may call, what is on record, what is encrypted. */
export interface Platform {
  readonly database: Database;
  readonly masterKeys: MasterKeys;
  /** Where the vault's encrypted bytes are. */
  readonly objects: ObjectStore;
  readonly vault: Vault;
  readonly audit: AuditLog;
  readonly quotas: Quotas;
  readonly calls: CallLedger;
  readonly adapters: AdapterCatalog;
  readonly lexicons: LexiconCatalog;
  readonly voices: VoiceCatalog;
  readonly authenticator: Authenticator;
  close(): Promise<void>;
}

export interface PlatformOptions {
  readonly config: Pick<
    Config,
    | 'dataDir'
    | 'databaseUrl'
    | 's3Url'
    | 's3Region'
    | 'masterKeyFile'
    | 'auth'
    | 'oidcIssuer'
    | 'oidcAudience'
    | 'speakerThreshold'
  >;
  readonly log: Logger;
  readonly signal?: AbortSignal;
}

/** Opens the state of a server or of an administrative command. Throws `STORE_…`, `MASTER_KEY_MISSING`. */
export async function openPlatform({ config, log, signal }: PlatformOptions): Promise<Platform> {
  const { dataDir } = config;
  const database = await openDatabase({
    url: config.databaseUrl,
    dataDir,
    log,
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    await ensureDefaultTenant(database);
    const masterKeys = await openMasterKeyFile(config.masterKeyFile, { create: !(await hasEncrypted(database)) });
    const objects = openObjects(config);
    const vault = new Vault({ database, objects, masterKeys });
    const audit = await AuditLog.open({
      database,
      spoolFolder: join(dataDir, 'audit-spool'),
      alsoBook: bookUsage,
      log,
    });
    const quotas = new Quotas({ database });
    const calls = createCallLedger({ quotas, audit, digestKey: (tenantId) => vault.digestKey(tenantId), log });
    const { speakerThreshold } = config;
    const voices = new VoiceCatalog({ database, vault, quotas, calls, speakerThreshold, log });
    const adapters = new AdapterCatalog({ database, calls, quotas, vault });
    const lexicons = new LexiconCatalog({ database, calls, vault });
    const sealed = await lexicons.sealPlain();
    if (sealed > 0)
      log.info({ versions: sealed }, 'the texts of lexicons that an earlier release kept are encrypted now');
    const people =
      config.oidcIssuer === null
        ? {}
        : {
            people: createPersonVerifier({ database, issuer: config.oidcIssuer, audience: config.oidcAudience }),
          };
    const authenticator = createAuthenticator({ database, mode: config.auth, ...people });
    return {
      database,
      masterKeys,
      objects,
      vault,
      audit,
      quotas,
      calls,
      adapters,
      lexicons,
      voices,
      authenticator,
      async close() {
        await voices.close();
        await audit.close();
        await database.close();
      },
    };
  } catch (error) {
    await database.close();
    throw error instanceof AppError && error.code === 'MASTER_KEY_MISSING'
      ? new AppError('MASTER_KEY_MISSING', `${error.message}; TIMBRE_MASTER_KEY_FILE says where it is`, {
          cause: error,
        })
      : error;
  }
}

/** Once anything is encrypted, a new master key would only hide that the old one is gone. */
async function hasEncrypted(database: Database): Promise<boolean> {
  const { rows } = await database.asPlatform((sql) => sql.query('SELECT 1 FROM tenant_keys LIMIT 1'));
  return rows.length > 0;
}
