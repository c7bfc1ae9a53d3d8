// Which topics can be published to, and which filters subscribed to.

const WILDCARD = /[+#]/
const SHARED = /^\$share\//

/** Whether a topic has no wildcards [MQTT-3.3.2-2]. */
export function isTopicName (topic: Buffer): boolean {
  return !topic.includes('+') && !topic.includes('#')
}

/** Whether wildcards stand alone in their levels, `#` in the last one only [MQTT-4.7.1-1], [MQTT-4.7.1-2]. */
export function isTopicFilter (filter: string): boolean {
  if (filter === '') return false
  const levels = filter.split('/')
  return levels.every((level, index) => level === '+' || (level === '#' && index === levels.length - 1) || !WILDCARD.test(level))
}

/** Whether a filter of MQTT 5 is one of a shared subscription, `$share/name/filter`. */
export function isShared (filter: string): boolean {
  return SHARED.test(filter)
}

/** Whether a shared subscription has a name and a filter [MQTT-4.8.2-1], [MQTT-4.8.2-2]. */
export function isSharedFilter (filter: string): boolean {
  const [, name, ...levels] = filter.split('/')
  return name !== undefined && name !== '' && !WILDCARD.test(name) && isTopicFilter(levels.join('/'))
}
