// Validation and matching of topic names and topic filters.

const WILDCARD = /[+#]/
const SHARED = /^\$share\//

/** Whether a topic has no wildcards [MQTT-3.3.2-2]. */
export function isTopicName(topic: Buffer): boolean {
  return !topic.includes('+') && !topic.includes('#')
}

/** Whether a filter is valid: wildcards fill their level, `#` only the last one [MQTT-4.7.1-1], [MQTT-4.7.1-2]. */
export function isTopicFilter(filter: string): boolean {
  if (filter === '') return false
  const levels = filter.split('/')
  return levels.every(
    (level, index) => level === '+' || (level === '#' && index === levels.length - 1) || !WILDCARD.test(level)
  )
}

/** Whether an MQTT 5 filter is a shared subscription, `$share/name/filter`. */
export function isShared(filter: string): boolean {
  return SHARED.test(filter)
}

/** Whether a shared subscription has a name and a filter [MQTT-4.8.2-1], [MQTT-4.8.2-2]. */
export function isSharedFilter(filter: string): boolean {
  const [, name, ...levels] = filter.split('/') as [string, string?, ...string[]]
  return name !== undefined && name !== '' && !WILDCARD.test(name) && isTopicFilter(levels.join('/'))
}

/** Whether a filter matches a topic, both split into levels [MQTT-4.7.1]. */
export function matches(filter: readonly string[], topic: readonly string[]): boolean {
  // Leading wildcards do not match topics that start with $ [MQTT-4.7.2-1].
  if (topic[0]?.startsWith('$') && (filter[0] === '#' || filter[0] === '+')) return false
  for (const [index, level] of filter.entries()) {
    if (level === '#') return true
    if (index >= topic.length || (level !== '+' && level !== topic[index])) return false
  }
  return filter.length === topic.length
}

/** Number of levels of a topic or filter. */
export function levelsOf(topic: string): number {
  let levels = 1
  for (let at = topic.indexOf('/'); at >= 0; at = topic.indexOf('/', at + 1)) levels++
  return levels
}
