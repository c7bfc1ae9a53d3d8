// Limits memory use; imported first, so that it applies from the start.

import { setFlagsFromString } from 'node:v8'

// V8 lets the semi-space grow to 48 MB under load and never shrinks it. The broker's objects live for one packet, so a
// small semi-space costs no more to collect (bench/results/footprint.md).
setFlagsFromString('--semi-space-growth-factor=1')
