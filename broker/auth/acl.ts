// ACL files in mosquitto's format: which clients may read and write which topics.

import { isTopicFilter, matches } from '../../src/topics.js'

/** Access that a client requests. */
export type Access = 'read' | 'write'

/** Access that a rule grants to its topics. */
type Grant = 'read' | 'write' | 'readwrite' | 'deny'

/** The client whose access is checked. */
export interface AclSubject {
  clientId: string
  /** null: anonymous. */
  username: string | null
}

/** A rule for one user or, as a pattern, for all clients. */
interface Rule {
  grant: Grant
  /** The topic filter, level by level. */
  levels: readonly string[]
}

/** An error in an ACL file. */
export interface AclFault {
  /** From 1. */
  line: number
  problem: string
}

/** User of the rules before the first `user` line. */
const ANONYMOUS = null

const GRANTS: readonly string[] = ['read', 'write', 'readwrite', 'deny'] satisfies Grant[]
const MAX_LEVELS = 200

/** The rules of one file. Access that no rule grants is denied. */
export class Acl {
  readonly #users: ReadonlyMap<string | null, readonly Rule[]>
  readonly #patterns: readonly Rule[]

  constructor(users: ReadonlyMap<string | null, readonly Rule[]>, patterns: readonly Rule[]) {
    // Deny rules take precedence, whatever their line.
    this.#users = new Map([...users].map(([user, rules]) => [user, denialsFirst(rules)]))
    this.#patterns = denialsFirst(patterns)
  }

  /** Whether a client may read from or write to a topic. */
  allows(access: Access, topic: string, subject: AclSubject): boolean {
    const levels = levelsOf(topic)
    for (const rule of this.#users.get(subject.username) ?? []) {
      if (!matches(rule.levels, levels)) continue
      if (rule.grant === 'deny') return false
      if (rule.grant === access || rule.grant === 'readwrite') return true
    }
    return this.#patternsAllow(access, levels, subject)
  }

  #patternsAllow(access: Access, levels: readonly string[], { clientId, username }: AclSubject): boolean {
    // A client named + or a/b would match the topics of others (CVE-2017-7650).
    if (this.#patterns.length === 0 || isUnsafe(clientId) || isUnsafe(username ?? '')) return false
    for (const { grant, levels: pattern } of this.#patterns) {
      if (username === null && pattern.some(level => level.includes('%u'))) continue
      const filter = pattern.map(level => substitute(level, clientId, username ?? ''))
      if (!matches(filter, levels)) continue
      if (grant === 'deny') return false
      if (grant === access || grant === 'readwrite') return true
    }
    return false
  }
}

/** Parses an ACL file; returns its errors if it has any. */
export function parseAcl(text: string): Acl | AclFault[] {
  const users = new Map<string | null, Rule[]>()
  const patterns: Rule[] = []
  const faults: AclFault[] = []
  let rules = rulesOf(users, ANONYMOUS)
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trimEnd()
    if (line === '' || line.startsWith('#')) continue
    const [, keyword = '', rest = ''] = /^ *([^ ]*) *(.*)$/.exec(line) ?? []
    const addFault = (problem: string): void => {
      faults.push({ line: index + 1, problem })
    }
    if (keyword === 'user') {
      if (rest === '') addFault('user must be followed by a name')
      else rules = rulesOf(users, rest)
    } else if (keyword === 'topic' || keyword === 'pattern') {
      const rule = parseRule(rest)
      if (typeof rule === 'string') addFault(rule)
      else (keyword === 'topic' ? rules : patterns).push(rule)
    } else {
      addFault('a line must start with user, topic, pattern or #')
    }
  }
  return faults.length > 0 ? faults : new Acl(users, patterns)
}

/** Parses `[read|write|readwrite|deny] TOPIC`; returns the error as text if it is invalid. */
function parseRule(text: string): Rule | string {
  if (text === '') return 'topic missing'
  const [, word = '', rest = ''] = /^([^ ]+) +(.*)$/.exec(text) ?? []
  // A single word is the topic; otherwise the first word is the access.
  const [grant, topic] = rest === '' ? ['readwrite', text] : [word, rest]
  if (!GRANTS.includes(grant))
    return `access must be one of ${GRANTS.join(', ')}; it is required if the topic contains a space`
  if (!isTopicFilter(topic)) return 'invalid topic filter: a wildcard must fill its level, and # must be the last level'
  const levels = topic.split('/')
  if (levels.length > MAX_LEVELS) return `a topic must have at most ${MAX_LEVELS} levels`
  return { grant: grant as Grant, levels }
}

function rulesOf(users: Map<string | null, Rule[]>, user: string | null): Rule[] {
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

/** Replaces %c and %u. The replacement is a function because `$&` in a client's name is special in a string. */
function substitute(level: string, clientId: string, username: string): string {
  if (!level.includes('%')) return level
  return level.replace(/%[cu]/g, placeholder => (placeholder === '%c' ? clientId : username))
}

let lastTopic = ''
let lastLevels: readonly string[] = ['']

/** Splits a topic. The last result is cached, since a message is checked for all its subscribers in a row. */
function levelsOf(topic: string): readonly string[] {
  if (topic !== lastTopic) [lastTopic, lastLevels] = [topic, topic.split('/')]
  return lastLevels
}
