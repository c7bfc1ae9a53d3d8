// Bounds the size of maps.

/** Deletes the key that was inserted first if the map has `cap` keys or more. Returns whether it deleted one. */
export function evictOldest<Key>(map: Map<Key, unknown>, cap: number): boolean {
  if (map.size < cap) return false
  const [oldest] = map.keys()
  return map.delete(oldest)
}
