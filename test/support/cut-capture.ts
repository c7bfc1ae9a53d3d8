// Program: copies a pcap file from standard input to standard output and truncates each frame to its argument, bytes.

const FILE_HEADER_BYTES = 24
const RECORD_HEADER_BYTES = 16
const snapLength = Number(process.argv[2])

let rest = Buffer.alloc(0)
let isStarted = false
for await (const chunk of process.stdin) {
  rest = Buffer.concat([rest, chunk as Buffer])
  if (!isStarted && rest.length >= FILE_HEADER_BYTES) {
    isStarted = true
    const header = Buffer.from(rest.subarray(0, FILE_HEADER_BYTES))
    header.writeUInt32LE(snapLength, 16)
    process.stdout.write(header)
    rest = rest.subarray(FILE_HEADER_BYTES)
  }
  while (isStarted && rest.length >= RECORD_HEADER_BYTES && rest.length >= RECORD_HEADER_BYTES + rest.readUInt32LE(8)) {
    const captured = rest.readUInt32LE(8)
    const kept = Math.min(captured, snapLength)
    const record = Buffer.from(rest.subarray(0, RECORD_HEADER_BYTES + kept))
    record.writeUInt32LE(kept, 8)
    process.stdout.write(record)
    rest = rest.subarray(RECORD_HEADER_BYTES + captured)
  }
}
