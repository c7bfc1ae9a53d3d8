// Entry point of the detection thread.

import { parentPort, workerData } from 'node:worker_threads'
import { Detection } from './detection.js'
import { OperatorError } from '../errors.js'
import type {
  DetectionReply,
  DetectionThreadData,
  FromDetection,
  DetectionQuery,
  ToDetection
} from './thread-messages.js'
import { RingReader } from '../observe/ring.js'

/** Interval for reading the ring while entries arrive, so that many packets cost one wake-up. */
const DRAIN_INTERVAL_MS = 20
const TICK_INTERVAL_MS = 100
const REPORT_INTERVAL_MS = 1_000

if (parentPort === null) throw new Error('worker.js must run in a worker thread')
const port = parentPort
const { settings, ring: memory } = workerData as DetectionThreadData

function send(message: FromDetection): void {
  port.postMessage(message)
}

const ring = new RingReader(memory)
const detection = new Detection(settings, ring, {
  onAlert: alert => {
    send({ type: 'alert', alert })
  },
  onOffence: offender => {
    send({ type: 'offence', offender })
  },
  onLog: (level, message, details = {}) => {
    send({ type: 'log', level, message, details })
  },
  onModel: path => {
    send({ type: 'model', path })
  },
  onChange: report
})

function report(): void {
  send({ type: 'report', status: detection.status(), scores: detection.scores() })
}

let draining: NodeJS.Timeout | undefined

/** Reads the ring until it is empty for a whole interval, then sleeps until the broker wakes the thread. */
function drain(): void {
  draining = undefined
  detection.drain()
  if (ring.sleep()) return
  draining = setTimeout(drain, DRAIN_INTERVAL_MS)
}

const timers = [
  setInterval(() => {
    detection.tick()
  }, TICK_INTERVAL_MS),
  setInterval(report, REPORT_INTERVAL_MS)
]

function answer(question: DetectionQuery): DetectionReply {
  if (question.kind === 'client-scores') return { kind: 'client-scores', scores: detection.clientScores(question.keys) }
  try {
    detection.relearn()
    return { kind: 'learn' }
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    const { message, remedy } = error
    return { kind: 'refused', message, ...(remedy !== undefined && { remedy }) }
  }
}

async function stop(): Promise<void> {
  for (const timer of timers) clearInterval(timer)
  clearTimeout(draining)
  await detection.stop()
}

/** Exits even if other code keeps the thread alive: `NODE_OPTIONS` may load more than this file. */
function end(): never {
  process.exit(0)
}

const starting = detection.start()

port.on('message', (message: ToDetection) => {
  switch (message.type) {
    case 'wake':
      draining ??= setTimeout(drain, DRAIN_INTERVAL_MS)
      break
    case 'model':
      void detection.useModel(message.path)
      break
    case 'ask':
      send({ type: 'answer', number: message.number, answer: answer(message.question) })
      break
    case 'stop':
      // An unfinished start would continue after the stop and keep the thread alive.
      void starting
        .catch(() => {})
        .then(stop)
        .then(() => {
          report()
          end()
        })
      break
  }
})

try {
  await starting
  report()
  drain()
} catch (error) {
  if (!(error instanceof OperatorError)) throw error
  const { code, message, remedy } = error
  send({ type: 'refused', code, message, ...(remedy !== undefined && { remedy }) })
  // No further report, so that the status keeps the reason.
  await stop()
  end()
}
