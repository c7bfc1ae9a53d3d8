// Random topics and filters that often match, and a simple reference implementation of matching.

import type { Random } from '../../../models/random.js'

/** Few levels, so that many filters match; includes an empty one and names of object properties. */
const LEVELS = ['a', 'b', 'c', '', 'ö', '$SYS', '$', '__proto__', 'constructor', 'a b']
const MAX_LEVELS = 4

/** Creates a random topic. */
export function randomTopic(random: Random): string {
  return Array.from({ length: 1 + random.integer(MAX_LEVELS) }, () => LEVELS[random.integer(LEVELS.length)]).join('/')
}

/** Creates a random filter, with or without wildcards. */
export function randomFilter(random: Random): string {
  const levels = randomTopic(random)
    .split('/')
    .map(level => (random.integer(3) === 0 ? '+' : level))
  const draw = random.integer(4)
  if (draw === 0) levels.push('#')
  if (draw === 1) levels[levels.length - 1] = '#'
  return levels.join('/')
}

/** Whether a filter matches a topic [MQTT-4.7.1-2], [MQTT-4.7.1-3], [MQTT-4.7.2-1]. */
export function matchesNaively(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && (filter.startsWith('+') || filter.startsWith('#'))) return false
  const wanted = filter.split('/')
  const levels = topic.split('/')
  const isOpen = wanted.at(-1) === '#'
  if (isOpen) wanted.pop()
  if (isOpen ? levels.length < wanted.length : levels.length !== wanted.length) return false
  return wanted.every((level, i) => level === '+' || level === levels[i])
}
