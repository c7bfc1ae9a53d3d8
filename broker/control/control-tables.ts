// Formats responses of the broker as tables.

import type { ClientRow } from '../../src/control/commands.js'
import type { Ban } from '../../src/index.js'
import { printable } from '../terminal/printable.js'
import { textTable } from '../terminal/text-table.js'

/** The shown fields of an alert. */
interface AlertEvent {
  timestamp: string
  src_ip?: string
  alert: { action: string; signature: string }
  artemis: { state: string; scope: string; client_id: string | null; rule: string; value: number; threshold: number }
}

/** The shown fields of the `learn` response. */
interface LearnStatus {
  state?: string
  failure?: string
  learning?: { phase: string; progress: number; records: number }
  model?: { detector: string; created: string }
}

/** Table of clients, the newest last. */
export function clientsTable({ clients, more }: { clients: ClientRow[]; more: number }, now: number): string {
  if (clients.length === 0) return 'No clients are connected.\n'
  const rows = clients.map(({ clientId, address, port, username, since, protocol, transport, score, allowed }) => [
    printable(clientId ?? '(not yet)'),
    `${printable(address)}:${port}`,
    printable(username ?? '-'),
    elapsed(now - since),
    `${protocol === null ? '' : `MQTT ${protocol}, `}${transport}`,
    score === null || score.movAvg === null ? '-' : score.movAvg.toFixed(3),
    [...(score?.alert === true ? ['alert'] : []), ...(allowed ? ['allowed'] : [])].join(', ')
  ])
  const table = textTable([['client', 'address', 'user', 'for', 'protocol', 'score', 'state'], ...rows])
  return table + (more > 0 ? `and ${more} more\n` : '')
}

/** Table of recent alerts, the latest last. */
export function alertsTable({ alerts }: { alerts: AlertEvent[] }): string {
  if (alerts.length === 0) return 'No alerts since the broker started.\n'
  return textTable([
    ['time', 'state', 'client', 'address', 'rule', 'value', 'limit', 'action'],
    ...alerts.map(({ timestamp, src_ip, alert, artemis }) => [
      printable(timestamp.slice(0, 19).replace('T', ' ')),
      printable(artemis.state),
      printable(artemis.scope === 'gateway' ? '(the broker as a whole)' : (artemis.client_id ?? '(not yet)')),
      printable(src_ip ?? '-'),
      printable(artemis.rule),
      artemis.value.toFixed(3),
      artemis.threshold.toFixed(3),
      printable(alert.action)
    ])
  ])
}

/** Table of bans with their remaining time. */
export function bansTable({ bans }: { bans: Ban[] }, now: number): string {
  if (bans.length === 0) return 'No clients are banned.\n'
  return textTable([
    ['address', 'client', 'by', 'ends in'],
    ...bans.map(ban => [
      printable(ban.address ?? 'any'),
      printable(ban.clientId ?? 'any'),
      printable(ban.by),
      elapsed(ban.until - now)
    ])
  ])
}

/** Table of the allow-list. */
export function allowTable({ allow }: { allow: { entry: string; from: string }[] }): string {
  if (allow.length === 0) return 'The allow-list is empty.\n'
  return textTable([
    ['never disconnected or banned', 'from'],
    ...allow.map(({ entry, from }) => [printable(entry), printable(from)])
  ])
}

/** Progress of learning, and the model in use. */
export function learnText({ anew, status }: { anew: boolean; status: LearnStatus }): string {
  const { state, failure, learning, model } = status
  const lines = [
    ...(anew ? ['Learning restarted.'] : []),
    ...(learning === undefined
      ? []
      : [
          `Learning: ${Math.floor(learning.progress * 100)} % (${printable(learning.phase)}, ${learning.records} records).`
        ]),
    ...(model === undefined
      ? ['There is no model yet.']
      : [`Guarding with ${printable(model.detector)}, learnt ${printable(model.created)}.`]),
    ...(failure === undefined ? [] : [`${printable(state ?? '')}: ${printable(failure)}`])
  ]
  return lines.map(line => `${line}\n`).join('')
}

/** Formats a duration with its two largest units. */
function elapsed(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1_000))
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's']
  ] as const
  const first = parts.findIndex(([count]) => count > 0)
  return first === -1
    ? '0 s'
    : parts
        .slice(first, first + 2)
        .map(([count, unit]) => `${count} ${unit}`)
        .join(' ')
}
