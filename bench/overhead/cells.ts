// Measurement cells: each is one load with one configuration of the brokers.

/** A load. To add a parameter, add a field here, its values in {@link CHOICES}, and code in load-main.ts. */
export interface Cell {
  /** Raw sockets without an MQTT library, or mqtt.js. */
  load: LoadName
  qos: 0 | 1 | 2
  /** Session of the subscriber (`lasting`: persistent); the publisher's is always clean. */
  session: 'clean' | 'lasting'
  /** In-flight window of publisher and subscriber; at QoS 0, messages in flight. */
  window: number
  payloadBytes: number
}

/** Load generator. */
export type LoadName = 'raw' | 'mqtt.js'

/** Allowed values; QoS 0 uses the first window. */
export const CHOICES = {
  load: ['raw', 'mqtt.js'],
  qos: ['0', '1', '2'],
  session: ['clean', 'lasting'],
  window: ['1000', '20']
} as const

const PAYLOAD_BYTES = 64

/** Returns all combinations of the values; QoS 0 has no sessions or windows. */
export function cellsOf(chosen: {
  load: readonly string[]
  qos: readonly string[]
  session: readonly string[]
  window: readonly string[]
}): Cell[] {
  return chosen.load
    .flatMap(load =>
      chosen.qos.flatMap(qos =>
        chosen.session.flatMap(session =>
          chosen.window.map(window => ({
            load: load as LoadName,
            qos: Number(qos) as Cell['qos'],
            session: session as Cell['session'],
            window: Number(window),
            payloadBytes: PAYLOAD_BYTES
          }))
        )
      )
    )
    .filter(
      ({ qos, session, window }) => qos > 0 || (session === chosen.session[0] && window === Number(chosen.window[0]))
    )
    .map(cell => (cell.qos > 0 ? cell : { ...cell, session: 'clean' }))
}

/** Returns a short description of a cell. */
export function cellTitle({ load, qos, session, window }: Cell): string {
  return qos === 0
    ? `${load}, QoS 0`
    : `${load}, QoS ${qos}, ${session === 'lasting' ? 'persistent' : 'clean'} session, window ${window}`
}
