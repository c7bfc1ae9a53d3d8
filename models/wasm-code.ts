// WebAssembly as expressions: the instructions that the kernels need, and a module around them.

/** Bytes of an expression or of statements. */
export type Code = readonly number[]

/** A function of 32-bit integers without a result. */
export interface WasmFunction {
  name: string
  /** Number of parameters; they are the first locals. */
  parameters: number
  /** Types of further locals, in runs of equal types. */
  locals: readonly { count: number; type: 'i32' | 'f64' | 'v128' }[]
  body: Code
}

const TYPES = { i32: 0x7f, f64: 0x7c, v128: 0x7b }
const SIMD = 0xfd
const VOID = 0x40

const binary =
  (...opcode: number[]) =>
  (a: Code, b: Code): Code => [...a, ...b, ...opcode]
// Alignment is only a hint; 2^0 is always valid.
const memory =
  (...opcode: number[]) =>
  (address: Code, offset = 0): Code => [...address, ...opcode, 0, ...unsigned(offset)]

/** The value of a local. */
export const get = (local: number): Code => [0x20, local]
export const set = (local: number, value: Code): Code => [...value, 0x21, local]
export const integer = (value: number): Code => [0x41, ...signed(value)]

export const add = binary(0x6a)
export const subtract = binary(0x6b)
export const and = binary(0x71)
export const or = binary(0x72)
export const shiftLeft = binary(0x74)
/** 1 or 0. */
export const notEqual = binary(0x47)
/** Unsigned; 1 or 0. */
export const less = binary(0x49)
/** Of doubles; 1 or 0. */
export const greater = binary(0x64)
export const addDoubles = binary(0xa0)
export const loadInteger = memory(0x28)
export const loadDouble = memory(0x2b)
export const storeDouble = (address: Code, value: Code): Code => [...address, ...value, 0x39, 0, 0]

export const loadVector = memory(SIMD, 0x00)
/** Copies a 32-bit element to all four lanes. */
export const spreadFloat = memory(SIMD, 0x09)
/** Copies a 64-bit element to both lanes. */
export const spreadDouble = memory(SIMD, 0x0a)
export const storeVector = (address: Code, value: Code, offset = 0): Code => [
  ...address,
  ...value,
  SIMD,
  0x0b,
  0,
  ...unsigned(offset)
]
export const zeroVector: Code = [SIMD, 0x0c, ...new Array<number>(16).fill(0)]
export const addFloats4 = binary(SIMD, 0xe4, 0x01)
export const multiplyFloats4 = binary(SIMD, 0xe6, 0x01)
export const maxFloats4 = binary(SIMD, 0xe9, 0x01)
export const addDoubles2 = binary(SIMD, 0xf0, 0x01)
export const subtractDoubles2 = binary(SIMD, 0xf1, 0x01)
export const multiplyDoubles2 = binary(SIMD, 0xf2, 0x01)

/** Statements one after another. */
export const sequence = (...statements: readonly Code[]): Code => statements.flat()
/** Runs the body once, then again while the condition is not 0. */
export const doWhile = (condition: Code, ...body: readonly Code[]): Code => [
  0x03,
  VOID,
  ...body.flat(),
  ...condition,
  0x0d,
  0,
  0x0b
]

/** Returns a module of functions that use the imported memory `host.memory`. */
export function moduleOf(functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([
    0x00,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(
      1,
      functions.map(({ parameters }) => [0x60, ...list(new Array<Code>(parameters).fill([TYPES.i32])), 0])
    ),
    ...section(2, [[...text('host'), ...text('memory'), 2, 0, 1]]),
    ...section(
      3,
      functions.map((_, i) => unsigned(i))
    ),
    ...section(
      7,
      functions.map(({ name }, i) => [...text(name), 0, ...unsigned(i)])
    ),
    ...section(
      10,
      functions.map(({ locals, body }) => {
        const code = [...list(locals.map(({ count, type }) => [...unsigned(count), TYPES[type]])), ...body, 0x0b]
        return [...unsigned(code.length), ...code]
      })
    )
  ])
}

function section(id: number, items: readonly Code[]): Code {
  const content = list(items)
  return [id, ...unsigned(content.length), ...content]
}

function list(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()]
}

function text(name: string): Code {
  return list(Array.from(name, character => [character.charCodeAt(0)]))
}

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...unsigned(Math.floor(value / 0x80))]
}

function signed(value: number): number[] {
  const low = value & 0x7f
  const rest = value >> 7
  return (rest === 0 && low < 0x40) || (rest === -1 && low >= 0x40) ? [low] : [low | 0x80, ...signed(rest)]
}
