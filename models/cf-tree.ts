// The clustering-feature tree of BIRCH: many rows in a few subclusters, in one pass.

import { squaredDistance } from './matrix.js'

/** A group of rows by its size, centre and spread. */
export interface Subcluster {
  size: number
  center: Float64Array
  /** Sum of the rows' squared distances to the centre. */
  spread: number
}

/** A subcluster of a node; in inner nodes the sum of a child's. */
interface Entry extends Subcluster {
  child?: Node
}

interface Node {
  leaf: boolean
  entries: Entry[]
}

/**
 * A clustering-feature tree (Zhang, Ramakrishnan and Livny 1996) that grows as scikit-learn's does: a
 * row joins its nearest subcluster unless that subcluster's radius would exceed `threshold`; a node of
 * more than `branchingFactor` entries is split around its two farthest. Sizes, means and squared
 * deviations are kept (Lang and Schubert 2022), for sums of squares lose their digits.
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

  /** The subclusters, in the order of the tree's leaves. */
  *subclusters(): Generator<Subcluster> {
    yield* leafEntries(this.#root)
  }

  /** Adds an entry below `node`; where the node overflows, the two entries that stand in its place. */
  #insertInto(node: Node, item: Entry): [Entry, Entry] | undefined {
    const index = nearestEntry(node.entries, item.center)
    const nearest = node.entries[index] as Entry | undefined
    if (nearest?.child !== undefined) {
      const halves = this.#insertInto(nearest.child, item)
      if (halves === undefined) {
        absorb(nearest, item)
      } else {
        // The second half goes to the end: among equals the first entry wins, so the order counts.
        node.entries[index] = halves[0]
        node.entries.push(halves[1])
      }
    } else if (nearest === undefined || !this.#absorbWithin(nearest, item)) {
      node.entries.push(item)
      this.#leaves++
    }
    return node.entries.length > this.branchingFactor ? split(node) : undefined
  }

  /** Takes the item in, unless the radius would exceed the threshold. */
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

/** Shares a node's entries between two new nodes, by the nearer of the two that are farthest apart. */
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
