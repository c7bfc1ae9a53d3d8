// The checks of `artemis doctor`: one line each, in the order in which they are told.

import { checkClock, checkDataFolder } from './data-folder.js'
import { checkModel, checkTap, checkTensorFlow } from './detection.js'
import { checkFiles } from './files.js'
import type { Check } from './finding.js'
import { checkContainer, checkNode } from './machine.js'
import { checkPorts } from './ports.js'

/** Every check. */
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
