// The numbers of earlier records that a record is judged with.

/** Records that one record refers to at most, of each kind. */
export const REFERENCES_PER_RECORD = 64

/** At most as many as may be, evenly. */
export function spread(references: readonly number[]): readonly number[] {
  const step = Math.ceil(references.length / REFERENCES_PER_RECORD)
  return step <= 1 ? references : references.filter((_, i) => i % step === 0)
}
