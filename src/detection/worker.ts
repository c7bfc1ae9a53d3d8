// The thread that the detection lives in.

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

/** Between two looks at the ring while something comes in: many packets cost one wake-up. */
const DRAIN_INTERVAL_MS = 20
const TICK_INTERVAL_MS = 100
const REPORT_INTERVAL_MS = 1_000

if (parentPort === null) throw new Error('this file is the entry of a worker thread')
const port = parentPort
const { settings, ring: memory } = workerData as DetectionThreadData

function tell(message: FromDetection): void {
  port.postMessage(message)
}

const ring = new RingReader(memory)
const detection = new Detection(settings, ring, {
  onAlert: alert => {
    tell({ type: 'alert', alert })
  },
  onOffence: offender => {
    tell({ type: 'offence', offender })
  },
  onLog: (level, message, details = {}) => {
    tell({ type: 'log', level, message, details })
  },
  onModel: path => {
    tell({ type: 'model', path })
  },
  onChange: report
})

function report(): void {
  tell({ type: 'report', status: detection.status(), scores: detection.scores() })
}

let draining: NodeJS.Timeout | undefined

/** Drains until the ring is empty for a whole interval, then sleeps until the broker wakes us. */
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
  if (question.kind === 'standings') return { kind: 'standings', standings: detection.standings(question.keys) }
  try {
    detection.learnAnew()
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

/** Ends the thread, whatever else lives in it: `NODE_OPTIONS` may load more than this file. */
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
      tell({ type: 'answer', number: message.number, answer: answer(message.question) })
      break
    case 'stop':
      // What still starts would go on after the stop, and keep the thread alive.
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
  tell({ type: 'refused', code, message, ...(remedy !== undefined && { remedy }) })
  // No report after it: why there is no detection must stay in the status.
  await stop()
  end()
}
