// Reads the PROXY header from a connection before any other reader.

import { BlockList, isIPv6, type Socket } from 'node:net'
import { normaliseAddress } from '../../src/observe/address.js'
import { parseProxyHeader, type ProxyHeader } from './proxy-protocol.js'

/** A PROXY header, and client bytes read together with it. */
export interface ReadHeader {
  header: Extract<ProxyHeader, { state: 'complete' }>
  rest: Buffer
}

/** Returns the trusted proxies of a listener, from its `proxy` setting. */
export function trustedProxies(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address, prefix] = network.split('/') as [string, string?]
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return list
}

/** Whether an address is a trusted proxy. */
export function isTrusted(proxies: BlockList, address: string): boolean {
  const plain = normaliseAddress(address)
  return proxies.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4')
}

/**
 * Reads the header from a paused, unread socket. `onDone` receives undefined if there is no valid header. The caller
 * must set a deadline.
 */
export function readProxyHeader(socket: Socket, onDone: (read: ReadHeader | undefined) => void): void {
  let bytes: Buffer = Buffer.alloc(0)
  const finish = (read: ReadHeader | undefined): void => {
    socket.off('readable', onReadable)
    socket.off('end', onEnd)
    onDone(read)
  }
  const onEnd = (): void => {
    finish(undefined)
  }
  const onReadable = (): void => {
    // Since Node 26, each read returns one chunk.
    for (let chunk: Buffer | null; (chunk = socket.read() as Buffer | null) !== null;) {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
      const header = parseProxyHeader(bytes)
      if (header.state === 'incomplete') continue
      finish(header.state === 'complete' ? { header, rest: bytes.subarray(header.length) } : undefined)
      return
    }
  }
  socket.on('readable', onReadable)
  socket.on('end', onEnd)
}
