// Which system programs a test may count on, and what to say where they are missing.

/** A row of scripts/system-programs.js. */
interface ProgramRow {
  program: string
  package: string
}

// The one list of programs is a script that runs before anything is compiled; seen from dist/test/support.
const { SYSTEM_PROGRAMS, findProgram: find } = (await import(
  new URL('../../../scripts/system-programs.js', import.meta.url).href
)) as { SYSTEM_PROGRAMS: ProgramRow[]; findProgram: (name: string) => string | undefined }

/** The full path of a program, sbin included; its bare name where it is not installed. */
export function findProgram(name: string): string {
  return find(name) ?? name
}

/**
 * The reason to skip a test that needs a program, or false where it is there:
 * `t.test('...', { skip: programMissing('tcpdump') }, ...)`.
 * @throws Error instead, where ARTEMIS_REQUIRE_ALL=1 says that nothing may be skipped.
 */
export function programMissing(name: string): string | false {
  if (find(name) !== undefined) return false
  const row = SYSTEM_PROGRAMS.find(({ program }) => program === name)
  return skipReason(`${name} is not installed: apt-get install ${row?.package ?? name}`)
}

/** Passes a reason to skip on, or throws it where ARTEMIS_REQUIRE_ALL=1 says that nothing may be skipped. */
export function skipReason(reason: string): string {
  if (process.env.ARTEMIS_REQUIRE_ALL === '1') throw new Error(reason)
  return reason
}
