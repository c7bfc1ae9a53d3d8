// A process with a network and a link, for tests that interrupt it.

import { Forwarder } from '../../bench/lab/forwarder.js'
import { Network } from '../../bench/lab/network.js'

const network = new Network()
const a = await network.addHost('a')
const b = await network.addHost('b')
await Forwarder.open({ a: { host: a }, b: { host: b } })
a.spawn('sleep', ['1000'], { stdio: 'ignore' })
process.stdout.write('ready\n')
