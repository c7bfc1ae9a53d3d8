// Settings of the broker as a tree, with overrides from the command line of a bench.

import { parse } from 'yaml'

/** Content of artemis.yaml. */
export type SettingsTree = Record<string, unknown>

/**
 * Applies overrides to a copy of a tree.
 *
 * @param overrides such as `store.sync=true` or `limits.inflightMessages=100`; the values are YAML
 */
export function withOverrides(tree: SettingsTree, overrides: readonly string[]): SettingsTree {
  const all = structuredClone(tree)
  for (const override of overrides) {
    const match = /^([\w.]+)=(.*)$/s.exec(override)
    if (match === null) throw new Error(`Invalid --setting ${override}: use name.of.setting=value.`)
    const [, path, value] = match
    const names = path.split('.')
    const last = names.pop() as string
    let part = all
    for (const name of names) part = part[name] = { ...(part[name] as SettingsTree | undefined) }
    part[last] = parse(value) as unknown
  }
  return all
}
