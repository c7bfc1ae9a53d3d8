// A program: passes a pcap file on from standard input, no more of each frame than its argument says.

const FILE_HEADER_BYTES = 24
const RECORD_HEADER_BYTES = 16
const snapLength = Number(process.argv[2])

let rest = Buffer.alloc(0)
let isBegun = false
for await (const chunk of process.stdin) {
  rest = Buffer.concat([rest, chunk as Buffer])
  if (!isBegun && rest.length >= FILE_HEADER_BYTES) {
    isBegun = true
    const header = Buffer.from(rest.subarray(0, FILE_HEADER_BYTES))
    header.writeUInt32LE(snapLength, 16)
    process.stdout.write(header)
    rest = rest.subarray(FILE_HEADER_BYTES)
  }
  while (isBegun && rest.length >= RECORD_HEADER_BYTES && rest.length >= RECORD_HEADER_BYTES + rest.readUInt32LE(8)) {
    const captured = rest.readUInt32LE(8)
    const kept = Math.min(captured, snapLength)
    const record = Buffer.from(rest.subarray(0, RECORD_HEADER_BYTES + kept))
    record.writeUInt32LE(kept, 8)
    process.stdout.write(record)
    rest = rest.subarray(RECORD_HEADER_BYTES + captured)
  }
}
