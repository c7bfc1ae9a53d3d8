// Acknowledgements of one client, held back until the store has what they acknowledge, and sent in their order.

/** A PUBACK or PUBREC on its way out, whole. */
export interface Acknowledgement {
  kind: 'puback' | 'pubrec'
  /** Packet identifier. */
  id: number
  /** Whether it says that the message was taken: a reason code below 0x80 (MQTT 5, section 2.4). */
  isSuccess: boolean
  bytes: Buffer
}

interface HeldPuback {
  readonly id: number
  readonly bytes: Buffer
  isStored: boolean
}

interface AwaitedPubrec {
  readonly id: number
  bytes?: Buffer
}

const TYPES: Readonly<Partial<Record<number, Acknowledgement['kind']>>> = { 4: 'puback', 5: 'pubrec' }

/** Whether a packet that begins with this byte is a PUBACK or a PUBREC. */
export function isAcknowledgement (firstByte: number): boolean {
  return TYPES[firstByte >> 4] !== undefined
}

/** Reads a packet of which {@link isAcknowledgement} is true. */
export function readAcknowledgement (bytes: Buffer): Acknowledgement {
  // The remaining length may take several bytes: an acknowledgement of MQTT 5 can carry a long reason.
  let at = 1
  while (bytes[at] >= 0x80) at++
  return {
    kind: TYPES[bytes[0] >> 4] ?? 'puback',
    id: bytes.readUInt16BE(at + 1),
    isSuccess: (bytes[at + 3] ?? 0) < 0x80,
    bytes
  }
}

/**
 * Aedes writes the PUBACK before it stores the message: a broker that dies in between has acknowledged
 * what nobody will ever get [MQTT-4.3.2-4]. Here the PUBACK waits until the message is stored. A PUBREC
 * comes later by itself, but not always in the order of the messages [MQTT-4.6.0-3]. What is held is
 * bounded: Aedes reads no more from a client while messages of what it read last are on their way.
 */
export class HeldAcknowledgements {
  private readonly pubacks: HeldPuback[] = []
  private readonly pubrecs: AwaitedPubrec[] = []

  constructor (private readonly send: (bytes: Buffer) => void) {}

  /** A message of QoS 2 is about to be stored; its PUBREC will come. */
  await (id: number): void {
    this.pubrecs.push({ id })
  }

  /** Aedes acknowledges: sent now or later. */
  take ({ kind, id, isSuccess, bytes }: Acknowledgement): void {
    if (kind === 'puback') {
      // One that refuses a message has nothing to wait for.
      this.pubacks.push({ id, bytes, isStored: !isSuccess })
      this.releasePubacks()
      return
    }
    const awaited = this.pubrecs.find(one => one.id === id && one.bytes === undefined)
    // Nothing is stored for a message that is refused, or known already.
    if (awaited === undefined) {
      this.send(bytes)
      return
    }
    awaited.bytes = bytes
    for (let first = this.pubrecs[0]; first?.bytes !== undefined; first = this.pubrecs[0]) {
      this.pubrecs.shift()
      this.send(first.bytes)
    }
  }

  /** The message of QoS 1 with this identifier is stored. */
  stored (id: number): void {
    const puback = this.pubacks.find(one => one.id === id && !one.isStored)
    if (puback === undefined) return
    puback.isStored = true
    this.releasePubacks()
  }

  private releasePubacks (): void {
    for (let first = this.pubacks[0]; first?.isStored === true; first = this.pubacks[0]) {
      this.pubacks.shift()
      this.send(first.bytes)
    }
  }
}
