// Limits the references of a record to earlier records.

/** Maximum references of each kind per record. */
export const REFERENCES_PER_RECORD = 64

/** Returns all references, or an even selection if there are too many. */
export function evenSample(references: readonly number[]): readonly number[] {
  const step = Math.ceil(references.length / REFERENCES_PER_RECORD)
  return step <= 1 ? references : references.filter((_, i) => i % step === 0)
}
