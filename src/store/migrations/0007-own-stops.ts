import { TENANT_ROLE } from '../database.js';

/** A server knows the stops that it announced itself by their numbers. */
export const ownStops = { name: '0007-own-stops', script: `GRANT SELECT (id) ON voice_stops TO ${TENANT_ROLE};` };
