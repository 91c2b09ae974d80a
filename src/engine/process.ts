/**
 * Entry of the engine process: a native crash in here takes no server with it. It ends when told to, and when the
 * server is gone (the IPC channel closes), whatever way that one died.
 */
import { hostEngine } from './engine-host.js';

// Ctrl-C in a terminal and systemd's stop reach every process of the group; the server decides when its engine ends.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
process.on('disconnect', () => process.exit(0));

await hostEngine({
  send: (event) => {
    if (process.connected) process.send?.(event);
  },
  onCommand: (listener) => {
    process.on('message', listener);
  },
});
process.disconnect?.();
