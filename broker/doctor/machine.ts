// Checks the machine: the Node.js version, and whether it is a container.

import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { note, ok, problem, type Finding, type CheckContext } from './finding.js'

const MIN_NODE_VERSION = 20

/** Checks the Node.js version. */
export function checkNode(): Finding[] {
  const { node } = process.versions
  if (Number(node.split('.')[0]) >= MIN_NODE_VERSION) return [ok(`Node ${node} on ${process.arch}.`)]
  return [problem(`Node ${node} is too old.`, `Install Node ${MIN_NODE_VERSION} or later.`)]
}

/** Notes a container, because network address translation may hide the client addresses. */
export async function checkContainer({ proc }: CheckContext): Promise<Finding[]> {
  const markers = await Promise.all(
    ['../.dockerenv', '../run/.containerenv', '../run/systemd/container'].map(
      async marker =>
        await stat(path.join(proc, marker)).then(
          () => true,
          () => false
        )
    )
  )
  const group = await readFile(path.join(proc, '1/cgroup'), 'utf8').catch(() => '')
  if (!markers.includes(true) && !/docker|lxc|kubepods|containerd|libpod/.test(group)) return []
  return [
    note(
      'This is a container. If its ports are published with address translation (NAT), all clients have the same address: a ban affects all of them, and an outside tap sees other addresses, so nothing is joined.',
      'Use the host network ("--network host"), or tap inside the container.'
    )
  ]
}
