// The clustering-feature tree of BIRCH: summarises many rows as a few subclusters in one pass.

import { squaredDistance } from './matrix.js'

/** A group of rows as size, centre and spread. */
export interface Subcluster {
  size: number
  center: Float64Array
  /** Sum of the rows' squared distances to the centre. */
  spread: number
}

/** A subcluster in a leaf; the sum of its child in an inner node. */
interface Entry extends Subcluster {
  child?: Node
}

interface Node {
  leaf: boolean
  entries: Entry[]
}

/**
 * A clustering-feature tree (Zhang, Ramakrishnan and Livny 1996) that grows like scikit-learn's. A row joins its
 * nearest subcluster unless its radius would exceed `threshold`. A node with more than `branchingFactor` entries is
 * split by its two farthest entries. Stores sizes, means and squared deviations (Lang and Schubert 2022), because sums
 * of squares lose precision.
 */
export class CfTree {
  #root: Node = { leaf: true, entries: [] }
  #leaves = 0

  constructor(
    readonly threshold: number,
    readonly branchingFactor: number
  ) {}

  /** Number of subclusters. */
  get size(): number {
    return this.#leaves
  }

  /** Adds a row, or a subcluster of another tree. */
  insert(item: Subcluster): void {
    const halves = this.#insertInto(this.#root, { size: item.size, center: item.center.slice(), spread: item.spread })
    if (halves !== undefined) this.#root = { leaf: false, entries: halves }
  }

  /** Yields the subclusters in leaf order. */
  *subclusters(): Generator<Subcluster> {
    yield* leafEntries(this.#root)
  }

  /** Adds an entry below `node`. If the node overflows, returns the two entries that replace it. */
  #insertInto(node: Node, item: Entry): [Entry, Entry] | undefined {
    const index = nearestEntry(node.entries, item.center)
    const nearest = node.entries[index] as Entry | undefined
    if (nearest?.child !== undefined) {
      const halves = this.#insertInto(nearest.child, item)
      if (halves === undefined) {
        absorb(nearest, item)
      } else {
        // The second half is appended. Order matters, because the first of equally near entries wins.
        node.entries[index] = halves[0]
        node.entries.push(halves[1])
      }
    } else if (nearest === undefined || !this.#absorbWithin(nearest, item)) {
      node.entries.push(item)
      this.#leaves++
    }
    return node.entries.length > this.branchingFactor ? split(node) : undefined
  }

  /** Absorbs the item unless the radius would exceed the threshold. Returns whether it did. */
  #absorbWithin(entry: Entry, item: Entry): boolean {
    const size = entry.size + item.size
    const spread =
      entry.spread +
      item.spread +
      ((entry.size * item.size) / size) * squaredDistance(entry.center, 0, item.center, 0, item.center.length)
    if (spread / size > this.threshold ** 2) return false
    absorb(entry, item)
    return true
  }
}

function* leafEntries(node: Node): Generator<Subcluster> {
  for (const entry of node.entries) {
    if (entry.child === undefined) yield entry
    else yield* leafEntries(entry.child)
  }
}

function nearestEntry(entries: readonly Entry[], center: Float64Array): number {
  let index = -1
  let smallest = Infinity
  for (let i = 0; i < entries.length; i++) {
    const distance = squaredDistance(entries[i].center, 0, center, 0, center.length)
    if (index === -1 || distance < smallest) {
      smallest = distance
      index = i
    }
  }
  return index
}

function absorb(entry: Entry, item: Subcluster): void {
  const size = entry.size + item.size
  entry.spread +=
    item.spread +
    ((entry.size * item.size) / size) * squaredDistance(entry.center, 0, item.center, 0, item.center.length)
  for (let j = 0; j < entry.center.length; j++) {
    entry.center[j] += ((item.center[j] - entry.center[j]) * item.size) / size
  }
  entry.size = size
}

/** Splits a node in two: each entry joins the nearer of the two entries that are farthest apart. */
function split({ leaf, entries }: Node): [Entry, Entry] {
  const width = entries[0].center.length
  let [first, second, farthest] = [0, 1, -1]
  for (let i = 0; i < entries.length; i++) {
    for (let j = i + 1; j < entries.length; j++) {
      const distance = squaredDistance(entries[i].center, 0, entries[j].center, 0, width)
      if (distance > farthest) [first, second, farthest] = [i, j, distance]
    }
  }
  const nearFirst = entries.map(
    ({ center }, i) =>
      i === first ||
      (i !== second &&
        squaredDistance(entries[first].center, 0, center, 0, width) <
          squaredDistance(entries[second].center, 0, center, 0, width))
  )
  return [
    parentOf({ leaf, entries: entries.filter((_, i) => nearFirst[i]) }),
    parentOf({ leaf, entries: entries.filter((_, i) => !nearFirst[i]) })
  ]
}

function parentOf(child: Node): Entry {
  const sum: Entry = { size: 0, center: new Float64Array(child.entries[0].center.length), spread: 0, child }
  for (const entry of child.entries) absorb(sum, entry)
  return sum
}
