// A tree of topic levels that finds the filters matching a topic, or the topics matching a filter [MQTT-4.7.1].

interface Node<Value> {
  value: Value | undefined
  children: Map<string, Node<Value>> | undefined
}

const ONE = '+'
const REST = '#'

/** Values by topic filter, or by topic. Names from the wire are keys of maps alone. */
export class TopicTree<Value> {
  readonly #root: Node<Value> = { value: undefined, children: undefined }

  get(path: string): Value | undefined {
    let node: Node<Value> | undefined = this.#root
    for (const level of path.split('/')) {
      node = node.children?.get(level)
      if (node === undefined) return undefined
    }
    return node.value
  }

  set(path: string, value: Value): void {
    let node = this.#root
    for (const level of path.split('/')) {
      node.children ??= new Map()
      let child = node.children.get(level)
      if (child === undefined) node.children.set(level, (child = { value: undefined, children: undefined }))
      node = child
    }
    node.value = value
  }

  /** Removes a value, and the branches that held nothing else. */
  delete(path: string): void {
    const levels = path.split('/')
    const way: Node<Value>[] = [this.#root]
    for (const level of levels) {
      const child = way.at(-1)?.children?.get(level)
      if (child === undefined) return
      way.push(child)
    }
    const leaf = way.pop()
    if (leaf !== undefined) leaf.value = undefined
    for (
      let child = leaf, level = levels.pop();
      child !== undefined && level !== undefined;
      child = way.pop(), level = levels.pop()
    ) {
      if (child.value !== undefined || (child.children?.size ?? 0) > 0) return
      way.at(-1)?.children?.delete(level)
    }
  }

  /**
   * The values of all filters that match a topic; wildcards at the start leave out topics that begin with `$`
   * [MQTT-4.7.2-1].
   */
  matching(topic: string): Value[] {
    const found: Value[] = []
    collectFilters(this.#root, topic.split('/'), 0, topic.startsWith('$'), found)
    return found
  }

  /** The values of all topics that a filter matches. */
  *matchedBy(filter: string): Generator<Value> {
    yield* topicsBelow(this.#root, filter.split('/'), 0)
  }
}

function collectFilters<Value>(
  { children }: Node<Value>,
  levels: readonly string[],
  at: number,
  isReserved: boolean,
  found: Value[]
): void {
  if (children === undefined) return
  const wildcards = !(isReserved && at === 0)
  const rest = wildcards ? children.get(REST)?.value : undefined
  if (rest !== undefined) found.push(rest)
  if (at === levels.length) return
  for (const next of [children.get(levels[at]), wildcards ? children.get(ONE) : undefined]) {
    if (next === undefined) continue
    if (at + 1 === levels.length && next.value !== undefined) found.push(next.value)
    collectFilters(next, levels, at + 1, isReserved, found)
  }
}

function* topicsBelow<Value>(
  { value, children }: Node<Value>,
  filter: readonly string[],
  at: number
): Generator<Value> {
  const level = filter.at(at)
  if (level === undefined) {
    if (value !== undefined) yield value
  } else if (level === REST) {
    // `a/#` matches `a` as well [MQTT-4.7.1-2].
    if (value !== undefined) yield value
    for (const [name, child] of children ?? []) if (at > 0 || !name.startsWith('$')) yield* allBelow(child)
  } else if (level === ONE) {
    for (const [name, child] of children ?? [])
      if (at > 0 || !name.startsWith('$')) yield* topicsBelow(child, filter, at + 1)
  } else {
    const child = children?.get(level)
    if (child !== undefined) yield* topicsBelow(child, filter, at + 1)
  }
}

function* allBelow<Value>({ value, children }: Node<Value>): Generator<Value> {
  if (value !== undefined) yield value
  for (const child of children?.values() ?? []) yield* allBelow(child)
}
