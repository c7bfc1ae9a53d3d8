// Types of the parts of TensorFlow.js that the detectors use. Its packages are optional, so their types may be missing.

/** An array of 32-bit floats in a backend. */
export interface Tensor {
  readonly shape: number[]
  /** Number of elements. */
  readonly size: number
  /** Returns the elements, copied from the backend. */
  dataSync(): Float32Array
}

/** A tensor that an optimiser can change. */
export interface Variable extends Tensor {
  assign(value: Tensor): void
}

/** Changes variables to minimise a cost. */
export interface Optimizer {
  /** Performs one step. Returns the cost before it if `returnCost` is true. */
  minimize(cost: () => Tensor, returnCost: boolean, variables: Variable[]): Tensor | null
  dispose(): void
}

/** Result of a function with a custom gradient. */
export interface CustomGradient {
  value: Tensor
  gradFunc(gradient: Tensor, saved: Tensor[]): Tensor[]
}

/** TensorFlow.js without its layers: tensors, gradients, optimisers. */
export interface Tf {
  readonly version_core: string
  readonly train: {
    adam(learningRate: number, beta1: number, beta2: number, epsilon: number): Optimizer
    momentum(learningRate: number, momentum: number): Optimizer
  }
  readonly SGDOptimizer: { readonly prototype: Optimizer }
  setBackend(name: string): Promise<boolean>
  ready(): Promise<void>
  memory(): { numTensors: number }
  /** Runs `work` and frees all tensors created in it, except those returned. */
  tidy<T>(work: () => T): T
  dispose(tensors: Tensor[]): void
  tensor(values: Float32Array, shape: number[]): Tensor
  variable(initial: Tensor): Variable
  add(a: Tensor, b: Tensor): Tensor
  addN(tensors: Tensor[]): Tensor
  mul(a: Tensor, b: Tensor | number): Tensor
  neg(a: Tensor): Tensor
  square(a: Tensor): Tensor
  squaredDifference(a: Tensor, b: Tensor): Tensor
  sum(a: Tensor): Tensor
  mean(a: Tensor): Tensor
  moments(a: Tensor, axis: number): { mean: Tensor; variance: Tensor }
  batchNorm(a: Tensor, mean: Tensor, variance: Tensor, offset: Tensor, scale: Tensor, epsilon: number): Tensor
  relu(a: Tensor): Tensor
  sigmoid(a: Tensor): Tensor
  softplus(a: Tensor): Tensor
  matMul(a: Tensor, b: Tensor): Tensor
  transpose(a: Tensor): Tensor
  customGrad(
    f: (a: Tensor, b: Tensor, save: (tensors: Tensor[]) => void) => CustomGradient
  ): (a: Tensor, b: Tensor) => Tensor
}
