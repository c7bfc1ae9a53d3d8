// Formats the results in Markdown: tables, and a sentence for each kind of error.

import type { KillFigures } from './kills.js'

/** Returns two tables: subscribers, and all other checks. */
export function tables({ publishers, subscribers, findings, sessions, closed, troubles }: KillFigures): string {
  const { published, acknowledged, unacknowledged } = publishers
  return [
    `${count(published)} messages sent; acknowledged: ${count(acknowledged[1])} at QoS 1, ${count(acknowledged[2])} at QoS 2; never acknowledged: ${count(unacknowledged)}.\n`,
    table(
      [
        'subscriber',
        'due',
        'QoS 1 missing',
        'QoS 2 missing',
        'QoS 2 duplicates',
        'out of order',
        'wrong QoS',
        'QoS 1 duplicates (allowed)'
      ],
      subscribers.map(({ name, due, missing, twice, disordered, wrongQos, again }) => [
        name,
        ...[due, missing[1], missing[2], twice, disordered, wrongQos, again].map(count)
      ])
    ),
    '',
    table(
      ['other checks', 'checked', 'failed'],
      [
        ...findings.map(({ what, checked, faults }) => [what, count(checked), count(faults)]),
        ['sessions reported lost', '', count(sessions.sessionsLost)],
        ['QoS 2 messages resent without DUP', '', count(sessions.withoutDup)],
        ['QoS 2 messages with a packet identifier in use', '', count(sessions.idsTaken)],
        ['messages refused', '', count(sessions.refused)],
        ['connections closed by the broker', '', count(closed + troubles.length)]
      ]
    )
  ].join('\n')
}

/** Describes all errors; empty if there are none. */
export function describeErrors({
  publishers,
  subscribers,
  findings,
  sessions,
  closed,
  troubles
}: KillFigures): string[] {
  const faults: [number, string][] = [
    [publishers.unacknowledged, 'messages were never acknowledged'],
    ...subscribers.flatMap(({ name, missing, twice, disordered, wrongQos }): [number, string][] => [
      [missing[1] + missing[2], `acknowledged messages did not reach "${name}"`],
      [twice, `QoS 2 messages reached "${name}" more than once`],
      [disordered, `messages reached "${name}" out of order`],
      [wrongQos, `messages reached "${name}" with the wrong QoS`]
    ]),
    ...findings.map(({ what, faults, example }): [number, string] => [
      faults,
      `checks failed: ${what}, such as ${example}`
    ]),
    [sessions.sessionsLost, 'sessions were reported lost'],
    [sessions.withoutDup, 'QoS 2 messages were resent without DUP'],
    [sessions.idsTaken, 'QoS 2 messages used a packet identifier in use'],
    [sessions.refused, 'messages were refused'],
    [closed, 'connections were closed by the broker'],
    [troubles.length, `checks were interrupted: ${troubles[0]}`]
  ]
  return faults.filter(([number]) => number > 0).map(([number, text]) => `${count(number)} ${text}`)
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...rows]
    .map(cells => `| ${cells.join(' | ')} |`)
    .join('\n')
}

function count(value: number): string {
  return value.toLocaleString('en')
}
