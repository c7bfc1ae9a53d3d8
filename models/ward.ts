// Ward's agglomerative clustering of points into two groups.

import { squaredDistance } from './matrix.js'

/**
 * Merges groups of points by the least increase of the squared deviations (Ward 1963) until two are left, following
 * chains of nearest neighbours (Murtagh 1983). Quadratic in time and space.
 *
 * @returns 0 or 1 for each point; the first point's group is 0
 */
export function wardHalves(points: readonly Float64Array[]): Uint8Array {
  const count = points.length
  const distance = Float64Array.from({ length: count * count }, (_, cell) =>
    squaredDistance(points[Math.floor(cell / count)], 0, points[cell % count], 0, points[0].length)
  )
  const size = new Uint32Array(count).fill(1)
  const members = points.map((_, i) => [i])
  const active = new Set(points.keys())
  const chain: number[] = []
  while (active.size > 2) {
    if (chain.length === 0) chain.push(first(active))
    const last = chain[chain.length - 1]
    const before = chain.at(-2)
    const nearest = nearestTo(last, before)
    if (nearest === before) {
      chain.length -= 2
      join(before, last)
    } else {
      chain.push(nearest)
    }
  }
  const groups = new Uint8Array(count).fill(1)
  const zero = [...active].find(group => members[group].includes(0)) ?? 0
  for (const i of members[zero]) groups[i] = 0
  return groups

  function nearestTo(group: number, preferred: number | undefined): number {
    // Prefers the previous group in the chain among equals. Otherwise the chain could cycle for ever.
    let nearest = preferred ?? -1
    let smallest = preferred === undefined ? Infinity : distance[group * count + preferred]
    for (const other of active) {
      if (other !== group && (nearest === -1 || distance[group * count + other] < smallest)) {
        nearest = other
        smallest = distance[group * count + other]
      }
    }
    return nearest
  }

  /** Merges `b` into `a`, with Lance and Williams' update for Ward. */
  function join(a: number, b: number): void {
    const between = distance[a * count + b]
    active.delete(b)
    for (const other of active) {
      if (other === a) continue
      const joined =
        ((size[a] + size[other]) * distance[a * count + other] +
          (size[b] + size[other]) * distance[b * count + other] -
          size[other] * between) /
        (size[a] + size[b] + size[other])
      distance[a * count + other] = joined
      distance[other * count + a] = joined
    }
    size[a] += size[b]
    members[a].push(...members[b])
  }
}

function first(items: Iterable<number>): number {
  for (const item of items) return item
  return -1
}
