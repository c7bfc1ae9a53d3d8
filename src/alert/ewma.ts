// The paper's smoothing.

/**
 * Exponentially weighted moving average of outlier probabilities, equation 1 of the paper:
 * `mov_avg = W0 * prev_mov_avg + (1 - W0) * avg`.
 */
export class Ewma {
  /** The value before the latest batch. */
  previous: number

  /**
   * @param weight W0 in [0, 1): weight of the past
   * @param current initial value: the mean of benign traffic, so that a subject abnormal from the start is visible
   */
  constructor(
    readonly weight: number,
    public current: number
  ) {
    this.previous = current
  }

  /**
   * @param average mean outlier probability of a batch
   * @returns the change of the moving average, which the paper's rule compares
   */
  update(average: number): number {
    this.previous = this.current
    this.current = this.weight * this.previous + (1 - this.weight) * average
    return this.current - this.previous
  }
}
