// The checks of `artemis doctor`, in the order of their output.

import { checkClock, checkDataFolder } from './data-folder.js'
import { checkModel, checkTap, checkTensorFlow } from './detection.js'
import { checkFiles } from './files.js'
import type { Check } from './finding.js'
import { checkContainer, checkNode } from './machine.js'
import { checkPorts } from './ports.js'

/** All checks. */
export const CHECKS: readonly Check[] = [
  checkNode,
  checkContainer,
  checkClock,
  checkPorts,
  checkDataFolder,
  checkFiles,
  checkTap,
  checkModel,
  checkTensorFlow
]
