// What came of the kills as tables in Markdown, and as sentences where something is not as it must be.

import type { KillFigures } from './kills.js'

/** Tables: subscribers, and everything else. */
export function tables({ publishers, subscribers, findings, sessions, closed, troubles }: KillFigures): string {
  const { published, acknowledged, unacknowledged } = publishers
  return [
    `${count(published)} messages were sent; acknowledged: ${count(acknowledged[1])} with QoS 1, ${count(acknowledged[2])} with QoS 2; never: ${count(unacknowledged)}.\n`,
    table(
      [
        'subscriber',
        'due',
        'missing of QoS 1',
        'of QoS 2',
        'of QoS 2 twice',
        'out of order',
        'with another QoS',
        'of QoS 1 again (allowed)'
      ],
      subscribers.map(({ name, due, missing, twice, disordered, wrongQos, again }) => [
        name,
        ...[due, missing[1], missing[2], twice, disordered, wrongQos, again].map(count)
      ])
    ),
    '',
    table(
      ['what else', 'looked at', 'wrong'],
      [
        ...findings.map(({ what, checked, faults }) => [what, count(checked), count(faults)]),
        ['sessions said to be lost', '', count(sessions.sessionsLost)],
        ['messages of QoS 2 again without DUP', '', count(sessions.withoutDup)],
        ['messages of QoS 2 under an identifier that was not free', '', count(sessions.idsTaken)],
        ['messages refused', '', count(sessions.refused)],
        ['connections that the broker ended', '', count(closed + troubles.length)]
      ]
    )
  ].join('\n')
}

/** Everything that is not as it must be; empty where all is. */
export function faultsIn({ publishers, subscribers, findings, sessions, closed, troubles }: KillFigures): string[] {
  const faults: [number, string][] = [
    [publishers.unacknowledged, 'messages were never acknowledged'],
    ...subscribers.flatMap(({ name, missing, twice, disordered, wrongQos }): [number, string][] => [
      [missing[1] + missing[2], `acknowledged messages are missing at "${name}"`],
      [twice, `messages of QoS 2 came twice to "${name}"`],
      [disordered, `messages came out of order to "${name}"`],
      [wrongQos, `messages came with another QoS to "${name}"`]
    ]),
    ...findings.map(({ what, faults, example }): [number, string] => [
      faults,
      `of the ${what} not as they must be, such as ${example}`
    ]),
    [sessions.sessionsLost, 'sessions were said to be lost'],
    [sessions.withoutDup, 'messages of QoS 2 came again without DUP'],
    [sessions.idsTaken, 'messages of QoS 2 came under an identifier that was not free'],
    [sessions.refused, 'messages were refused'],
    [closed, 'connections were ended by the broker'],
    [troubles.length, `witnesses were cut off: ${troubles[0]}`]
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
