// Finds the system programs that tests need, and gives the reason to skip a test without them.

/** A row of scripts/system-programs.js. */
interface ProgramRow {
  program: string
  package: string
}

// The list is in a script, because it is also used before compilation. The path is relative to dist/test/support.
const { SYSTEM_PROGRAMS, findProgram: find } = (await import(
  new URL('../../../scripts/system-programs.js', import.meta.url).href
)) as { SYSTEM_PROGRAMS: ProgramRow[]; findProgram: (name: string) => string | undefined }

/** Returns the full path of a program, including sbin; its name if it is not installed. */
export function findProgram(name: string): string {
  return find(name) ?? name
}

/**
 * Returns the reason to skip a test that needs a program, or false if it is installed:
 * `t.test('...', { skip: programMissing('tcpdump') }, ...)`.
 *
 * @throws Error instead of returning a reason, if ARTEMIS_REQUIRE_ALL=1 forbids skipping
 */
export function programMissing(name: string): string | false {
  if (find(name) !== undefined) return false
  const row = SYSTEM_PROGRAMS.find(({ program }) => program === name)
  return skipReason(`${name} is not installed: apt-get install ${row?.package ?? name}`)
}

/** Returns the reason to skip, or throws it if ARTEMIS_REQUIRE_ALL=1 forbids skipping. */
export function skipReason(reason: string): string {
  if (process.env.ARTEMIS_REQUIRE_ALL === '1') throw new Error(reason)
  return reason
}
