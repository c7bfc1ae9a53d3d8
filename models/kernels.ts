// The inner loops of scoring in WebAssembly with SIMD. Without SIMD, plain code gives bit-identical results.

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

/** The kernels. All arguments are byte addresses in the memory, or counts. */
export interface Kernels {
  /**
   * Computes `panels` panels of {@link WIDE_PANEL} units of a dense layer in single precision. The weights of a panel
   * are stored by input: all units for the first input, then for the second, and so on.
   */
  wide(weights: number, bias: number, input: number, output: number, inputs: number, panels: number): void
  /** Like {@link wide}, with negative outputs set to 0. */
  wideRelu(weights: number, bias: number, input: number, output: number, inputs: number, panels: number): void
  /** Like {@link wide}, with panels of {@link NARROW_PANEL} units. */
  narrow(weights: number, bias: number, input: number, output: number, inputs: number, panels: number): void
  narrowRelu(weights: number, bias: number, input: number, output: number, inputs: number, panels: number): void
  /**
   * Computes the squared distances of a row to `panels` panels of {@link POINT_PANEL} points, stored like the weights
   * of {@link wide}, in double precision.
   */
  distances(points: number, row: number, output: number, width: number, panels: number): void
  /**
   * For each row from `row` up to `end`, `rowBytes` apart: adds the leaf values of all trees, in order, to a double at
   * `sums`. `roots` lists `groups` groups of {@link TREE_GROUP} addresses of nodes of {@link NODE_BYTES}.
   */
  walk(roots: number, groups: number, row: number, end: number, rowBytes: number, sums: number): void
}

/** Units computed together: as many sums as fit in processor registers. */
export const WIDE_PANEL = 32
/** Units computed together in layers with few units. */
export const NARROW_PANEL = 4
/** Points compared together. */
export const POINT_PANEL = 8
/** Trees walked together: their memory accesses overlap. */
export const TREE_GROUP = 4
/**
 * Size of a node: the value (double), the column's byte offset in a row, and the bytes from the left to the right
 * child, 0 in a leaf.
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
   * Branchless, because a branch would be mispredicted half of the time. The left child follows its parent. A leaf
   * steps to itself.
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

const identity = (sums: Code): Code => sums
const relu = (sums: Code): Code => maxFloats4(sums, zeroVector)

/** The compiled kernels; undefined without SIMD, or if Node.js was started without a WebAssembly compiler. */
export const compiled: WebAssembly.Module | undefined = compile()

function compile(): WebAssembly.Module | undefined {
  if (typeof WebAssembly === 'undefined') return undefined
  const bytes = moduleOf([
    denseKernel('wide', WIDE_PANEL, identity),
    denseKernel('wideRelu', WIDE_PANEL, relu),
    denseKernel('narrow', NARROW_PANEL, identity),
    denseKernel('narrowRelu', NARROW_PANEL, relu),
    distancesKernel(),
    walkKernel()
  ])
  return WebAssembly.validate(bytes) ? new WebAssembly.Module(bytes) : undefined
}
