// The innermost loops of scoring, in WebAssembly with SIMD; where a machine has none, in plain code with the same
// results to the bit.

import {
  add,
  addDoubles,
  addDoubles2,
  addFloats4,
  and,
  doWhile,
  get,
  greater,
  integer,
  less,
  loadDouble,
  loadInteger,
  loadVector,
  maxFloats4,
  moduleOf,
  multiplyDoubles2,
  multiplyFloats4,
  notEqual,
  or,
  sequence,
  set,
  shiftLeft,
  spreadDouble,
  spreadFloat,
  storeDouble,
  storeVector,
  subtract,
  subtractDoubles2,
  zeroVector,
  type Code,
  type WasmFunction
} from './wasm-code.js'

/** The loops. All arguments are byte addresses in the memory, or counts. */
export interface Kernels {
  /**
   * `panels` panels of {@link WIDE_PANEL} units of a dense layer, single precision: a panel's weights are those
   * of its units for the first input, then for the second, and so on.
   */
  wide(weights: number, bias: number, input: number, output: number, inputs: number, panels: number): void
  /** The same with negative outputs set to 0. */
  wideRelu(weights: number, bias: number, input: number, output: number, inputs: number, panels: number): void
  /** The same with panels of {@link NARROW_PANEL} units. */
  narrow(weights: number, bias: number, input: number, output: number, inputs: number, panels: number): void
  narrowRelu(weights: number, bias: number, input: number, output: number, inputs: number, panels: number): void
  /**
   * Squared distances of one row to `panels` panels of {@link POINT_PANEL} points, which lie as the weights above;
   * doubles.
   */
  distances(points: number, row: number, output: number, width: number, panels: number): void
  /**
   * For each row from `row` up to `end`, `rowBytes` apart: adds the leaf values of all trees, in their order, to a
   * double at `sums`. `roots` lists `groups` groups of {@link TREE_GROUP} addresses of nodes of {@link NODE_BYTES}.
   */
  walk(roots: number, groups: number, row: number, end: number, rowBytes: number, sums: number): void
}

/** Units computed together: as many sums as processors have room for. */
export const WIDE_PANEL = 32
/** The same for layers with few units. */
export const NARROW_PANEL = 4
/** Points compared with at a time. */
export const POINT_PANEL = 8
/** Trees walked at a time: each step waits for memory, and four can wait together. */
export const TREE_GROUP = 4
/**
 * A node: the value (double), the column's byte in a row, and how many bytes the right child is beyond the left; 0 in a
 * leaf.
 */
export const NODE_BYTES = 16

const FLOAT_LANES = 4
const DOUBLE_LANES = 2
const VECTOR_BYTES = 16
const NODE_COLUMN = 8
const NODE_SKIP = 12

const range = (count: number): number[] => [...Array(count).keys()]
const advance = (local: number, by: Code): Code => set(local, add(get(local), by))

function denseKernel(name: string, panel: number, activate: (sums: Code) => Code): WasmFunction {
  const [weights, bias, input, output, inputs, panels, at, end, value] = range(9)
  const sums = range(panel / FLOAT_LANES)
  const sum = (v: number): number => value + 1 + v
  const panelBytes = integer(sums.length * VECTOR_BYTES)
  return {
    name,
    parameters: 6,
    locals: [
      { count: 2, type: 'i32' },
      { count: 1 + sums.length, type: 'v128' }
    ],
    body: sequence(
      set(end, add(get(input), shiftLeft(get(inputs), integer(2)))),
      doWhile(
        get(panels),
        ...sums.map(v => set(sum(v), loadVector(get(bias), v * VECTOR_BYTES))),
        set(at, get(input)),
        doWhile(
          less(get(at), get(end)),
          set(value, spreadFloat(get(at))),
          ...sums.map(v =>
            set(
              sum(v),
              addFloats4(get(sum(v)), multiplyFloats4(get(value), loadVector(get(weights), v * VECTOR_BYTES)))
            )
          ),
          advance(weights, panelBytes),
          advance(at, integer(4))
        ),
        ...sums.map(v => storeVector(get(output), activate(get(sum(v))), v * VECTOR_BYTES)),
        advance(bias, panelBytes),
        advance(output, panelBytes),
        advance(panels, integer(-1))
      )
    )
  }
}

function distancesKernel(): WasmFunction {
  const [points, row, output, width, panels, at, end, value, difference] = range(9)
  const sums = range(POINT_PANEL / DOUBLE_LANES)
  const sum = (v: number): number => difference + 1 + v
  const panelBytes = integer(sums.length * VECTOR_BYTES)
  return {
    name: 'distances',
    parameters: 5,
    locals: [
      { count: 2, type: 'i32' },
      { count: 2 + sums.length, type: 'v128' }
    ],
    body: sequence(
      set(end, add(get(row), shiftLeft(get(width), integer(3)))),
      doWhile(
        get(panels),
        ...sums.map(v => set(sum(v), zeroVector)),
        set(at, get(row)),
        doWhile(
          less(get(at), get(end)),
          set(value, spreadDouble(get(at))),
          ...sums.flatMap(v => [
            set(difference, subtractDoubles2(get(value), loadVector(get(points), v * VECTOR_BYTES))),
            set(sum(v), addDoubles2(get(sum(v)), multiplyDoubles2(get(difference), get(difference))))
          ]),
          advance(points, panelBytes),
          advance(at, integer(8))
        ),
        ...sums.map(v => storeVector(get(output), get(sum(v)), v * VECTOR_BYTES)),
        advance(output, panelBytes),
        advance(panels, integer(-1))
      )
    )
  }
}

function walkKernel(): WasmFunction {
  const [roots, groups, row, end, rowBytes, sums, at, out, open] = range(9)
  const trees = range(TREE_GROUP)
  const node = (tree: number): number => open + 1 + tree
  const skip = (tree: number): number => open + 1 + TREE_GROUP + tree
  /**
   * Without a branch, which a processor would guess wrong every other time: the left child follows its parent, a leaf
   * stays where it is.
   */
  const step = (tree: number): Code =>
    sequence(
      set(skip(tree), loadInteger(get(node(tree)), NODE_SKIP)),
      set(open, or(get(open), get(skip(tree)))),
      set(
        node(tree),
        add(
          get(node(tree)),
          add(
            shiftLeft(notEqual(get(skip(tree)), integer(0)), integer(Math.log2(NODE_BYTES))),
            and(
              get(skip(tree)),
              subtract(
                integer(0),
                greater(
                  loadDouble(add(get(at), loadInteger(get(node(tree)), NODE_COLUMN))),
                  loadDouble(get(node(tree)))
                )
              )
            )
          )
        )
      )
    )
  return {
    name: 'walk',
    parameters: 6,
    locals: [{ count: 3 + 2 * TREE_GROUP, type: 'i32' }],
    body: doWhile(
      get(groups),
      set(at, get(row)),
      set(out, get(sums)),
      doWhile(
        less(get(at), get(end)),
        ...trees.map(tree => set(node(tree), loadInteger(get(roots), 4 * tree))),
        doWhile(get(open), set(open, integer(0)), ...trees.map(step)),
        ...trees.map(tree => storeDouble(get(out), addDoubles(loadDouble(get(out)), loadDouble(get(node(tree)))))),
        advance(at, get(rowBytes)),
        advance(out, integer(8))
      ),
      advance(roots, integer(4 * TREE_GROUP)),
      advance(groups, integer(-1))
    )
  }
}

const same = (sums: Code): Code => sums
const relu = (sums: Code): Code => maxFloats4(sums, zeroVector)

/** The compiled kernels; undefined where the machine has no SIMD or the program was started without a compiler. */
export const compiled: WebAssembly.Module | undefined = compile()

function compile(): WebAssembly.Module | undefined {
  if (typeof WebAssembly === 'undefined') return undefined
  const bytes = moduleOf([
    denseKernel('wide', WIDE_PANEL, same),
    denseKernel('wideRelu', WIDE_PANEL, relu),
    denseKernel('narrow', NARROW_PANEL, same),
    denseKernel('narrowRelu', NARROW_PANEL, relu),
    distancesKernel(),
    walkKernel()
  ])
  return WebAssembly.validate(bytes) ? new WebAssembly.Module(bytes) : undefined
}
