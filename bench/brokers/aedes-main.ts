// Bare Aedes in its own process. Arguments: a port and, to store in LevelDB, a folder.

import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Aedes } from 'aedes'
import levelPersistence from 'aedes-persistence-level'
import { Level } from 'level'

const [port, folder] = process.argv.slice(2) as (string | undefined)[]
const options = folder === undefined ? {} : { persistence: levelPersistence(new Level(join(folder, 'aedes'))) }
const aedes = await Aedes.createBroker(options)
const server = createServer({ noDelay: true }, socket => {
  aedes.handle(socket)
})
server.listen(Number(port), '127.0.0.1', () => {
  process.stderr.write(`port ${(server.address() as AddressInfo).port}\n`)
})
// Exit with the parent process.
process.stdin.resume().once('end', () => {
  process.exit()
})
