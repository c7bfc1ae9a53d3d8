// Finds a free TCP port on loopback, for programs that cannot listen on port 0.

import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

/** Returns a free port. Another process may take it before it is used, so listen on port 0 if possible. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}
