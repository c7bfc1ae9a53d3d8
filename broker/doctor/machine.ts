// Checks the machine that the broker runs on: Node, and whether it is a container.

import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { note, ok, problem, type Finding, type CheckContext } from './finding.js'

const OLDEST_NODE = 20

/** The version of Node. */
export function checkNode(): Finding[] {
  const { node } = process.versions
  if (Number(node.split('.')[0]) >= OLDEST_NODE) return [ok(`Node ${node} on ${process.arch}.`)]
  return [problem(`Node ${node} is too old.`, `Install Node ${OLDEST_NODE} or later.`)]
}

/** Whether the broker sees its clients through somebody else's address translation. */
export async function checkContainer({ proc }: CheckContext): Promise<Finding[]> {
  const marks = await Promise.all(
    ['../.dockerenv', '../run/.containerenv', '../run/systemd/container'].map(
      async mark =>
        await stat(path.join(proc, mark)).then(
          () => true,
          () => false
        )
    )
  )
  const group = await readFile(path.join(proc, '1/cgroup'), 'utf8').catch(() => '')
  if (!marks.includes(true) && !/docker|lxc|kubepods|containerd|libpod/.test(group)) return []
  return [
    note(
      'This is a container. If its ports are published through address translation, all clients seem to come from one address: a ban would meet them all, and a tap outside sees other addresses, so that nothing is joined.',
      'Give the container the network of its host ("--network host"), or tap inside it.'
    )
  ]
}
