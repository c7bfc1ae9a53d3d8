// The smoothing of the paper.

/**
 * Exponentially weighted moving average of outlier probabilities, equation 1 of the paper:
 * `mov_avg = W0 * prev_mov_avg + (1 - W0) * avg`.
 */
export class Ewma {
  /** Before the latest batch. */
  previous: number

  /**
   * @param weight W0 in [0, 1): how much the past counts
   * @param current where to begin: the mean of benign traffic, so that whoever is abnormal from the start stands out
   */
  constructor(
    readonly weight: number,
    public current: number
  ) {
    this.previous = current
  }

  /**
   * @param average mean outlier probability of a batch
   * @returns how far the moving average moved: what the paper's rule compares
   */
  update(average: number): number {
    this.previous = this.current
    this.current = this.weight * this.previous + (1 - this.weight) * average
    return this.current - this.previous
  }
}
