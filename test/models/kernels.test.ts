// The kernels: WebAssembly and plain code give bit-identical results, which match manual calculations.

import t from 'tap'
import { gaussian } from '../../models/gaussian.js'
import { compiled, NARROW_PANEL, NODE_BYTES, POINT_PANEL, TREE_GROUP, WIDE_PANEL } from '../../models/kernels.js'
import { KernelMemory } from '../../models/kernel-memory.js'
import { PointTable } from '../../models/point-table.js'
import { Random } from '../../models/random.js'

const skip = compiled === undefined && 'this machine has no WebAssembly with SIMD'

/** Runs the same work with both implementations. */
function both<T>(sizes: readonly number[], work: (memory: KernelMemory) => T): [T, T] {
  return [work(new KernelMemory(sizes, compiled)), work(new KernelMemory(sizes, undefined))]
}

t.test('dense layers', { skip }, async t => {
  for (const [name, panel] of [
    ['wide', WIDE_PANEL],
    ['wideRelu', WIDE_PANEL],
    ['narrow', NARROW_PANEL],
    ['narrowRelu', NARROW_PANEL]
  ] as const) {
    const [inputs, panels] = [31, 3]
    const units = panel * panels
    const sizes = [4 * inputs * units, 4 * units, 4 * inputs, 4 * units]
    const [fast, plain] = both(sizes, memory => {
      const random = new Random(4)
      const [weights, bias, input] = [memory.floats(inputs * units), memory.floats(units), memory.floats(inputs)]
      for (const block of [weights, bias, input])
        block.forEach((_, i) => {
          block[i] = random.normal()
        })
      const output = memory.floats(units)
      memory.kernels[name](weights.byteOffset, bias.byteOffset, input.byteOffset, output.byteOffset, inputs, panels)
      const expected = bias.map((start, u) => {
        let sum = start
        for (let i = 0; i < inputs; i++)
          sum += input[i] * weights[(Math.floor(u / panel) * inputs + i) * panel + (u % panel)]
        return name.endsWith('Relu') && sum < 0 ? 0 : sum
      })
      t.ok(
        output.every((value, u) => Math.abs(value - expected[u]) < 1e-4),
        `${name}, calculated manually`
      )
      return output
    })
    t.same(fast, plain, name)
    t.ok(new Set(fast).size > units / 3, 'the outputs vary')
  }
})

t.test('distances', { skip }, async t => {
  const [width, panels] = [7, 3]
  const room = POINT_PANEL * panels
  const [fast, plain] = both([8 * width * room, 8 * width, 8 * room], memory => {
    const random = new Random(5)
    const [points, row] = [memory.doubles(width * room), memory.doubles(width)]
    for (const block of [points, row])
      block.forEach((_, i) => {
        block[i] = random.normal()
      })
    const output = memory.doubles(room)
    memory.kernels.distances(points.byteOffset, row.byteOffset, output.byteOffset, width, panels)
    return output
  })
  t.same(fast, plain)
  const table = new PointTable(Float64Array.of(0, 0, 3, 4, -1, 1), 2)
  t.same([...table.squaredDistances(Float64Array.of(9, 0, 1), 1).subarray(0, 3)], [1, 18, 1])
})

t.test('trees', { skip }, async t => {
  const [nodes, width, rows] = [TREE_GROUP * 3, 2, 5]
  const [fast, plain] = both([NODE_BYTES * nodes, 4 * TREE_GROUP, 8 * width * rows, 8 * rows], memory => {
    const doubles = memory.doubles((nodes * NODE_BYTES) / 8)
    const integers = new Int32Array(doubles.buffer, doubles.byteOffset, 2 * doubles.length)
    const roots = memory.integers(TREE_GROUP)
    const data = memory.doubles(width * rows)
    const sums = memory.doubles(rows)
    // In each tree, values up to the tree's number in column tree % 2 give 10^tree, higher ones twice that.
    for (let tree = 0; tree < TREE_GROUP; tree++) {
      const node = 3 * tree
      roots[tree] = doubles.byteOffset + NODE_BYTES * node
      doubles[2 * node] = tree
      integers[4 * node + 2] = 8 * (tree % width)
      integers[4 * node + 3] = NODE_BYTES
      doubles[2 * node + 2] = 10 ** tree
      doubles[2 * node + 4] = 2 * 10 ** tree
    }
    data.set([-1, -1, 0, 0, 1, 1, 2, 3, 9, 9])
    sums.fill(0.5)
    memory.kernels.walk(
      roots.byteOffset,
      1,
      data.byteOffset,
      data.byteOffset + 8 * width * rows,
      8 * width,
      sums.byteOffset
    )
    return sums
  })
  t.same([...fast], [1111.5, 1111.5, 1112.5, 1122.5, 2222.5])
  t.same(fast, plain)
})

t.test('the Gaussian kernel equals the exponential', async t => {
  const random = new Random(6)
  for (let i = 0; i < 10_000; i++) {
    const [gamma, squared] = [random.uniform(), 800 * random.uniform()]
    const exact = Math.exp(-gamma * squared)
    if (Math.abs(gaussian(gamma, squared) - exact) > 2e-13 * exact) t.fail(`${gamma} * ${squared}`)
  }
  t.same([gaussian(1, 0), gaussian(0, 5), gaussian(1, 1e300), gaussian(1, Infinity)], [1, 1, 0, 0])
  t.ok(gaussian(1, 744.9) > 0)
})
