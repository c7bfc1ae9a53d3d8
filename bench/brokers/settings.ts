// Settings of the program as a tree, with those that the command line of a bench lays over it.

import { parse } from 'yaml'

/** What artemis.yaml holds. */
export type SettingsTree = Record<string, unknown>

/**
 * Lays settings over a tree, which stays as it is.
 *
 * @param overrides such as `store.sync=true` or `limits.inflightMessages=100`; the values are YAML
 */
export function withOverrides(tree: SettingsTree, overrides: readonly string[]): SettingsTree {
  const all = structuredClone(tree)
  for (const override of overrides) {
    const match = /^([\w.]+)=(.*)$/s.exec(override)
    if (match === null) throw new Error(`--setting ${override}: write it as name.of.setting=value`)
    const [, path, value] = match
    const names = path.split('.')
    const last = names.pop() as string
    let part = all
    for (const name of names) part = part[name] = { ...(part[name] as SettingsTree | undefined) }
    part[last] = parse(value) as unknown
  }
  return all
}
