// A tree of topic levels. Finds filters that match a topic, or topics that match a filter [MQTT-4.7.1].

interface Node<Value> {
  value: Value | undefined
  children: Map<string, Node<Value>> | undefined
}

const SINGLE_LEVEL = '+'
const MULTI_LEVEL = '#'

/** Values by topic filter or by topic. Uses maps only, so that names such as `__proto__` are safe. */
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

  /** Removes a value, and branches that become empty. */
  delete(path: string): void {
    const levels = path.split('/')
    const nodes: Node<Value>[] = [this.#root]
    for (const level of levels) {
      const child = nodes.at(-1)?.children?.get(level)
      if (child === undefined) return
      nodes.push(child)
    }
    const leaf = nodes.pop()
    if (leaf !== undefined) leaf.value = undefined
    for (
      let child = leaf, level = levels.pop();
      child !== undefined && level !== undefined;
      child = nodes.pop(), level = levels.pop()
    ) {
      if (child.value !== undefined || (child.children?.size ?? 0) > 0) return
      nodes.at(-1)?.children?.delete(level)
    }
  }

  /**
   * Returns the values of all filters that match a topic. A leading wildcard does not match a topic that starts with
   * `$` [MQTT-4.7.2-1].
   */
  matching(topic: string): Value[] {
    const found: Value[] = []
    collectFilters(this.#root, topic.split('/'), 0, topic.startsWith('$'), found)
    return found
  }

  /** Yields the values of all topics that match a filter. */
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
  const rest = wildcards ? children.get(MULTI_LEVEL)?.value : undefined
  if (rest !== undefined) found.push(rest)
  if (at === levels.length) return
  for (const next of [children.get(levels[at]), wildcards ? children.get(SINGLE_LEVEL) : undefined]) {
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
  } else if (level === MULTI_LEVEL) {
    // `a/#` matches `a` as well [MQTT-4.7.1-2].
    if (value !== undefined) yield value
    for (const [name, child] of children ?? []) if (at > 0 || !name.startsWith('$')) yield* allBelow(child)
  } else if (level === SINGLE_LEVEL) {
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
