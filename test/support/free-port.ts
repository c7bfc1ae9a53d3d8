// A TCP port of loopback that nobody listens on, for programs that cannot be asked for any.

import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

/** Another process may take it before it is used: whoever can should listen on port 0 instead. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}
