// Which topics can be published to, and which filters subscribed to.

const WILDCARD = /[+#]/
const SHARED = /^\$share\//

/** Whether a topic has no wildcards [MQTT-3.3.2-2]. */
export function isTopicName(topic: Buffer): boolean {
  return !topic.includes('+') && !topic.includes('#')
}

/** Whether wildcards stand alone in their levels, `#` in the last one only [MQTT-4.7.1-1], [MQTT-4.7.1-2]. */
export function isTopicFilter(filter: string): boolean {
  if (filter === '') return false
  const levels = filter.split('/')
  return levels.every(
    (level, index) => level === '+' || (level === '#' && index === levels.length - 1) || !WILDCARD.test(level)
  )
}

/** Whether a filter of MQTT 5 is one of a shared subscription, `$share/name/filter`. */
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
  // Wildcards at the start leave the broker's own topics out [MQTT-4.7.2-1].
  if (topic[0]?.startsWith('$') && (filter[0] === '#' || filter[0] === '+')) return false
  for (const [index, level] of filter.entries()) {
    if (level === '#') return true
    if (index >= topic.length || (level !== '+' && level !== topic[index])) return false
  }
  return filter.length === topic.length
}

/** How many levels a topic or filter has. */
export function levelsOf(topic: string): number {
  let levels = 1
  for (let at = topic.indexOf('/'); at >= 0; at = topic.indexOf('/', at + 1)) levels++
  return levels
}
