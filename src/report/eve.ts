// Alerts in the form of Suricata's EVE JSON, so that log shippers read them as they are.

import type { Alert } from '../alert/alert.js'
import type { RuleName } from '../alert/rules.js'
import type { Ban, BanEnding } from '../respond/bans.js'

const SIGNATURE: Record<RuleName, { id: number; text: string }> = {
  jump: { id: 1, text: 'outlier probability rose faster than on benign traffic' },
  level: { id: 2, text: 'outlier probability stands higher than on benign traffic' },
  cusum: { id: 3, text: 'abnormal records keep coming' }
}
const GATEWAY_OFFSET = 100
const SEVERITY = { client: 1, gateway: 2 }

/** One line of an EVE log, as an object. */
export type EveAlert = Record<string, unknown>

/**
 * Somebody is banned, or no longer: as an event of its own type, since no rule of an alert stands behind it.
 *
 * @param time epoch milliseconds
 * @param ending why it ended; undefined where it begins
 */
export function eveBan({ address, clientId, since, until, by }: Ban, time: number, ending?: BanEnding): EveAlert {
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
 * An alert as an EVE event. `src_*` is the client, `dest_*` the broker; an alert of the gateway as a
 * whole names no client. The paper's figures stand under `artemis`.
 *
 * @param isBlocked whether, on its account, somebody was thrown out or kept out just now
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

/** Epoch seconds as EVE writes them: microseconds and the offset without a colon. */
function eveTime(seconds: number): string {
  const whole = Math.floor(seconds)
  const microseconds = Math.min(999_999, Math.round((seconds - whole) * 1e6))
  return `${new Date(whole * 1_000).toISOString().slice(0, 19)}.${String(microseconds).padStart(6, '0')}+0000`
}

function rounded(value: number): number {
  return Math.round(value * 1e4) / 1e4
}
