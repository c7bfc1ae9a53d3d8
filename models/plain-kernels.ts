// The kernels without WebAssembly. The same operations in the same order give the same results.

import { NARROW_PANEL, NODE_BYTES, POINT_PANEL, TREE_GROUP, WIDE_PANEL, type Kernels } from './kernels.js'

/** Returns kernels that use a buffer. */
export function plainKernels(buffer: ArrayBuffer): Kernels {
  const floats = new Float32Array(buffer)
  const doubles = new Float64Array(buffer)
  const integers = new Int32Array(buffer)

  const dense =
    (panel: number, lowest: number): Kernels['wide'] =>
    (weights, bias, input, output, inputs, panels) => {
      for (let u = 0; u < panel * panels; u++) {
        let at = weights / 4 + Math.floor(u / panel) * panel * inputs + (u % panel)
        let sum = floats[bias / 4 + u]
        for (let i = input / 4; i < input / 4 + inputs; i++, at += panel)
          sum = Math.fround(sum + Math.fround(floats[i] * floats[at]))
        floats[output / 4 + u] = Math.max(lowest, sum)
      }
    }

  return {
    wide: dense(WIDE_PANEL, -Infinity),
    wideRelu: dense(WIDE_PANEL, 0),
    narrow: dense(NARROW_PANEL, -Infinity),
    narrowRelu: dense(NARROW_PANEL, 0),
    distances: (points, row, output, width, panels) => {
      for (let p = 0; p < POINT_PANEL * panels; p++) {
        let at = points / 8 + Math.floor(p / POINT_PANEL) * POINT_PANEL * width + (p % POINT_PANEL)
        let sum = 0
        for (let j = row / 8; j < row / 8 + width; j++, at += POINT_PANEL) sum += (doubles[j] - doubles[at]) ** 2
        doubles[output / 8 + p] = sum
      }
    },
    walk: (roots, groups, row, end, rowBytes, sums) => {
      for (let t = roots / 4; t < roots / 4 + TREE_GROUP * groups; t++) {
        for (let at = row, out = sums / 8; at < end; at += rowBytes, out++) {
          let node = integers[t]
          for (let skip = integers[node / 4 + 3]; skip !== 0; skip = integers[node / 4 + 3]) {
            node += doubles[(at + integers[node / 4 + 2]) / 8] > doubles[node / 8] ? NODE_BYTES + skip : NODE_BYTES
          }
          doubles[out] += doubles[node / 8]
        }
      }
    }
  }
}
