// Formats alerts as Suricata's EVE JSON, so that log shippers can read them.

import type { Alert, AlertState, AlertSubject, Contribution } from '../alert/alert.js'
import type { RuleName } from '../alert/rules.js'
import type { Ban, BanEnding, BannedBy } from '../respond/bans.js'
import type { ResponseName } from '../respond/catalog.js'

const SIGNATURE: Record<RuleName, { id: number; text: string }> = {
  jump: { id: 1, text: 'outlier probability rose faster than on benign traffic' },
  level: { id: 2, text: 'outlier probability is higher than on benign traffic' },
  cusum: { id: 3, text: 'abnormal records keep coming' }
}
const GATEWAY_OFFSET = 100
const SEVERITY = { client: 1, gateway: 2 }

/** Fields that all events have. */
interface EveEventBase {
  /** ISO 8601 with microseconds and an offset without a colon; packet time. */
  timestamp: string
  /** Address of the client; absent for the gateway as a whole. */
  src_ip?: string
  proto: 'TCP'
  app_proto: 'mqtt'
}

/** An alert, as it is published and written to the EVE log. */
export interface EveAlert extends EveEventBase {
  event_type: 'alert'
  src_port?: number | null
  dest_ip?: string
  dest_port?: number
  alert: {
    /** `blocked` if the client was disconnected or banned. */
    action: 'allowed' | 'blocked'
    gid: number
    signature_id: number
    rev: number
    signature: string
    category: string
    /** 1: critical, 2: warning, 3: notice. */
    severity: number
  }
  artemis: {
    /** The same for all events of one alert. */
    id: number
    state: AlertState
    scope: AlertSubject['scope']
    client_id: string | null
    username: string | null
    rule: RuleName
    /** The rule's value, and the limit that it exceeded. */
    value: number
    threshold: number
    /** Highest outlier probability in the batch, in [0, 1]. */
    score: number
    /** Mean outlier probability of the batch, in [0, 1]. */
    avg: number
    /** Moving average after and before the batch (equation 1 of the paper). */
    movAvg: number
    prevMovAvg: number
    /** Records of the subject in the batch. */
    records: number
    contributions: Contribution[]
    detector: string
    /** Digest of the model. */
    model: string
    response: ResponseName
  }
}

/** The start or the end of a ban. */
export interface EveBan extends EveEventBase {
  event_type: 'ban'
  artemis: {
    state: 'begun' | 'ended'
    /** Why it ended. */
    reason?: BanEnding
    client_id: string | null
    by: BannedBy
    /** Same format as `timestamp`. */
    since: string
    until: string
  }
}

/** One line of the EVE log. */
export type EveEvent = EveAlert | EveBan

/**
 * Formats the start or end of a ban as an EVE event. It has its own event type, because no alert rule belongs to it.
 *
 * @param time epoch milliseconds
 * @param ending why the ban ended; undefined for its start
 */
export function eveBan({ address, clientId, since, until, by }: Ban, time: number, ending?: BanEnding): EveBan {
  return {
    timestamp: eveTime(time / 1_000),
    event_type: 'ban',
    ...(address === null ? {} : { src_ip: address }),
    proto: 'TCP',
    app_proto: 'mqtt',
    artemis: {
      state: ending === undefined ? 'begun' : 'ended',
      ...(ending === undefined ? {} : { reason: ending }),
      client_id: clientId,
      by,
      since: eveTime(since / 1_000),
      until: eveTime(until / 1_000)
    }
  }
}

/**
 * Formats an alert as an EVE event. `src_*` is the client, `dest_*` the broker. An alert of the gateway names no
 * client. The paper's figures are under `artemis`.
 *
 * @param isBlocked whether the alert just caused a disconnection or a ban
 */
export function eveAlert(alert: Alert, isBlocked = false): EveAlert {
  const { subject } = alert
  const signature = SIGNATURE[alert.rule]
  return {
    timestamp: eveTime(alert.time),
    event_type: 'alert',
    ...(subject.address === null ? {} : { src_ip: subject.address, src_port: subject.port }),
    ...(subject.broker === null ? {} : { dest_ip: subject.broker.address, dest_port: subject.broker.port }),
    proto: 'TCP',
    app_proto: 'mqtt',
    alert: {
      action: isBlocked ? 'blocked' : 'allowed',
      gid: 1,
      signature_id: signature.id + (subject.scope === 'gateway' ? GATEWAY_OFFSET : 0),
      rev: 1,
      signature: `ARTEMIS ${subject.scope}: ${signature.text}`,
      category: 'MQTT anomaly',
      severity: SEVERITY[subject.scope]
    },
    artemis: {
      id: alert.id,
      state: alert.state,
      scope: subject.scope,
      client_id: subject.clientId,
      username: subject.username,
      rule: alert.rule,
      value: rounded(alert.value),
      threshold: rounded(alert.limit),
      score: rounded(alert.score),
      avg: rounded(alert.average),
      movAvg: rounded(alert.movingAverage),
      prevMovAvg: rounded(alert.previousMovingAverage),
      records: alert.records,
      contributions: alert.contributions,
      detector: alert.detector,
      model: alert.model,
      response: alert.response
    }
  }
}

/** Formats epoch seconds as EVE does: microseconds, and the UTC offset without a colon. */
function eveTime(seconds: number): string {
  const whole = Math.floor(seconds)
  const microseconds = Math.min(999_999, Math.round((seconds - whole) * 1e6))
  return `${new Date(whole * 1_000).toISOString().slice(0, 19)}.${String(microseconds).padStart(6, '0')}+0000`
}

function rounded(value: number): number {
  return Math.round(value * 1e4) / 1e4
}
