// What is measured: each cell is one load on one setting of the brokers.

/** One load. A new shape of load gets a field here, its values in {@link CHOICES}, and its share of load-main.ts. */
export interface Cell {
  /** Raw sockets that write and read frames without a library, or mqtt.js. */
  load: LoadName
  qos: 0 | 1 | 2
  /** The subscriber's; the publisher's is always clean. */
  session: 'clean' | 'lasting'
  /**
   * Messages that the publisher leaves unacknowledged, and the broker on their way to the subscriber; at QoS 0,
   * messages under way.
   */
  window: number
  payloadBytes: number
}

/** Who makes the load. */
export type LoadName = 'raw' | 'mqtt.js'

/** Values that may be asked for, the first window being that of QoS 0. */
export const CHOICES = {
  load: ['raw', 'mqtt.js'],
  qos: ['0', '1', '2'],
  session: ['clean', 'lasting'],
  window: ['1000', '20']
} as const

const PAYLOAD_BYTES = 64

/** All cells of the chosen values; QoS 0 knows neither sessions nor windows. */
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

/** A cell in a few words. */
export function cellTitle({ load, qos, session, window }: Cell): string {
  return qos === 0 ? `${load}, QoS 0` : `${load}, QoS ${qos}, ${session} session, window ${window}`
}
