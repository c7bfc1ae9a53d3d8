// Keeps the broker small: imported before anything else, so that it holds from the first object on.

import { setFlagsFromString } from 'node:v8'

// V8 lets the space for new objects grow to 48 MB where they come fast, and never gives it back; the
// broker's live for one packet, so that a small space is swept as cheaply (bench/results/footprint.md).
setFlagsFromString('--semi-space-growth-factor=1')
