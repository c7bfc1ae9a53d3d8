// Access rules in mosquitto's format: who may read and write which topics.

import { matches } from '../protocol/topics.js'

/** What a client wants to do. */
export type Access = 'read' | 'write'

/** What a rule says of its topics. */
type Grant = 'read' | 'write' | 'readwrite' | 'deny'

/** Who asks. */
export interface AclSubject {
  clientId: string
  /** null: anonymous. */
  username: string | null
}

/** A rule for one user, or for everybody. */
interface Rule {
  grant: Grant
  /** The topic filter, level by level. */
  levels: readonly string[]
}

/** A mistake in an ACL file. */
export interface AclFault {
  /** From 1. */
  line: number
  problem: string
}

/** The user under whom rules before the first `user` line stand. */
const ANONYMOUS = null

const GRANTS: readonly string[] = ['read', 'write', 'readwrite', 'deny'] satisfies Grant[]
const MAX_LEVELS = 200

/** The rules of one file; nothing is allowed that no rule grants. */
export class Acl {
  readonly #users: ReadonlyMap<string | null, readonly Rule[]>
  readonly #patterns: readonly Rule[]

  constructor(users: ReadonlyMap<string | null, readonly Rule[]>, patterns: readonly Rule[]) {
    // Denials come first, whatever their line.
    this.#users = new Map([...users].map(([user, rules]) => [user, denialsFirst(rules)]))
    this.#patterns = denialsFirst(patterns)
  }

  /** Whether a client may read from or write to a topic. */
  allows(access: Access, topic: string, asker: AclSubject): boolean {
    const levels = levelsOf(topic)
    for (const rule of this.#users.get(asker.username) ?? []) {
      if (!matches(rule.levels, levels)) continue
      if (rule.grant === 'deny') return false
      if (rule.grant === access || rule.grant === 'readwrite') return true
    }
    return this.#patternsAllow(access, levels, asker)
  }

  #patternsAllow(access: Access, levels: readonly string[], { clientId, username }: AclSubject): boolean {
    // Who calls itself + or a/b would be given the topics of others (CVE-2017-7650).
    if (this.#patterns.length === 0 || isUnsafe(clientId) || isUnsafe(username ?? '')) return false
    for (const { grant, levels: pattern } of this.#patterns) {
      if (username === null && pattern.some(level => level.includes('%u'))) continue
      const own = pattern.map(level => fill(level, clientId, username ?? ''))
      if (!matches(own, levels)) continue
      if (grant === 'deny') return false
      if (grant === access || grant === 'readwrite') return true
    }
    return false
  }
}

/** Reads an ACL file; the faults, where it has any. */
export function parseAcl(text: string): Acl | AclFault[] {
  const users = new Map<string | null, Rule[]>()
  const patterns: Rule[] = []
  const faults: AclFault[] = []
  let rules = own(users, ANONYMOUS)
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trimEnd()
    if (line === '' || line.startsWith('#')) continue
    const [, keyword = '', rest = ''] = /^ *([^ ]*) *(.*)$/.exec(line) ?? []
    const note = (problem: string): void => {
      faults.push({ line: index + 1, problem })
    }
    if (keyword === 'user') {
      if (rest === '') note('user should be followed by a name')
      else rules = own(users, rest)
    } else if (keyword === 'topic' || keyword === 'pattern') {
      const rule = parseRule(rest)
      if (typeof rule === 'string') note(rule)
      else (keyword === 'topic' ? rules : patterns).push(rule)
    } else {
      note('a line should begin with user, topic, pattern or #')
    }
  }
  return faults.length > 0 ? faults : new Acl(users, patterns)
}

/** `[read|write|readwrite|deny] TOPIC`; a sentence that says what is wrong. */
function parseRule(text: string): Rule | string {
  if (text === '') return 'there is no topic'
  const [, word = '', rest = ''] = /^([^ ]+) +(.*)$/.exec(text) ?? []
  // Without a space there is a topic alone; with one, its first word is what it grants.
  const [grant, topic] = rest === '' ? ['readwrite', text] : [word, rest]
  if (!GRANTS.includes(grant)) return `a rule grants ${GRANTS.join(', ')}, which a topic with a space must be told`
  const levels = topic.split('/')
  const isRight = levels.every(
    (level, index) => !/[+#]/.test(level) || level === '+' || (level === '#' && index === levels.length - 1)
  )
  if (!isRight) return 'a wildcard stands alone in its level, and # in the last one'
  if (levels.length > MAX_LEVELS) return `a topic has at most ${MAX_LEVELS} levels`
  return { grant: grant as Grant, levels }
}

function own(users: Map<string | null, Rule[]>, user: string | null): Rule[] {
  const rules = users.get(user) ?? []
  users.set(user, rules)
  return rules
}

function denialsFirst(rules: readonly Rule[]): readonly Rule[] {
  return [...rules.filter(({ grant }) => grant === 'deny'), ...rules.filter(({ grant }) => grant !== 'deny')]
}

function isUnsafe(name: string): boolean {
  return /[+#/]/.test(name)
}

/** Level by level, and not by `replace` with a text of the client's, in which `$&` would mean something. */
function fill(level: string, clientId: string, username: string): string {
  if (!level.includes('%')) return level
  return level.replace(/%[cu]/g, placeholder => (placeholder === '%c' ? clientId : username))
}

let lastTopic = ''
let lastLevels: readonly string[] = ['']

/** A message goes to all its subscribers in a row: its topic is split once. */
function levelsOf(topic: string): readonly string[] {
  if (topic !== lastTopic) [lastTopic, lastLevels] = [topic, topic.split('/')]
  return lastLevels
}
