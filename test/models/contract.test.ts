// The contract of all detectors, checked for each entry of the catalog.

import t from 'tap'
import { DETECTOR_KINDS, type DetectorKind } from '../../models/index.js'
import { tensorflowMissing } from '../support/tensorflow.js'
import { checkContract, type ContractTraits } from './contract.js'

const TRAITS: Record<DetectorKind, ContractTraits> = {
  autoencoder: { aucFloor: 0.97, skip: tensorflowMissing() },
  'so-gaal': { aucFloor: 0.8, parameters: { stopEpochs: 8 }, skip: tensorflowMissing() },
  'random-forest': { aucFloor: 0.95, supervised: true, parameters: { nEstimators: 20 } },
  iforest: { aucFloor: 0.97 },
  ocsvm: { aucFloor: 0.97 },
  kmeans: { aucFloor: 0.97 },
  birch: { aucFloor: 0.97 }
}

t.same(DETECTOR_KINDS, Object.keys(TRAITS))
for (const kind of DETECTOR_KINDS) checkContract(kind, TRAITS[kind])
