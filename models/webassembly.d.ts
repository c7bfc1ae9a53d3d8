// The part of WebAssembly that is used. TypeScript's own types of it come only with the DOM library.

declare namespace WebAssembly {
  type Module = object
  const Module: new (bytes: Uint8Array<ArrayBuffer>) => Module

  class Memory {
    constructor(pages: { initial: number; maximum: number })
    readonly buffer: ArrayBuffer
  }

  class Instance {
    constructor(module: Module, imports: { host: { memory: Memory } })
    readonly exports: object
  }

  function validate(bytes: Uint8Array<ArrayBuffer>): boolean
}
