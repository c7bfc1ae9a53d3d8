// The names of a household, generated from a seed: each seed has different rooms, topics and users.

import { RandomSource, seedFor } from './random-source.js'
import type { Party } from './plan.js'

const ROOMS = [
  'kitchen',
  'bath',
  'cellar',
  'attic',
  'hall',
  'office',
  'garage',
  'garden',
  'bedroom',
  'livingroom',
  'pantry',
  'laundry',
  'workshop',
  'porch',
  'kueche',
  'bad',
  'keller',
  'flur',
  'wohnzimmer',
  'kinderzimmer',
  'salon',
  'cuisine',
  'chambre',
  'cocina',
  'terraza',
  'studio',
  'greenhouse',
  'gym'
]
const BASES = ['home', 'house', 'haus', 'smarthome', 'casa', 'maison', 'building/1', 'site7', 'flat']
const PEOPLE = ['anna', 'ben', 'carla', 'david', 'eva', 'felix', 'grete', 'hugo', 'ines', 'jonas', 'karin', 'lukas']
const PHONES = ['pixel7', 'iphone', 'galaxy', 'fairphone', 'oneplus', 'tablet']

/** Default user name of plugs. */
export const PLUG_USER = 'DVES_USER'

export class Home {
  readonly base: string
  readonly rooms: string[]
  readonly zigbee: string
  readonly people: string[]
  /** Position of the home; phones report positions around it. */
  readonly latitude: number
  readonly longitude: number

  constructor(
    readonly seed: number,
    readonly parties: readonly Party[]
  ) {
    const random = new RandomSource(seedFor(seed, 'home'))
    this.base = random.oneOf(BASES)
    this.rooms = random.shuffled(ROOMS).slice(0, 14)
    this.zigbee = random.oneOf(['zigbee2mqtt', 'zigbee', 'z2m', 'zigbee2mqtt'])
    this.people = random.shuffled(PEOPLE)
    this.latitude = random.between(40, 60)
    this.longitude = random.between(-5, 25)
  }

  /** User names and passwords of devices. */
  get users(): { user: string; password: string }[] {
    return [PLUG_USER, ...this.people].map(user => ({ user, password: this.password(user) }))
  }

  password(user: string): string {
    return new RandomSource(seedFor(this.seed, `password of ${user}`)).text(12)
  }

  room(index: number): string {
    const room = this.rooms[index % this.rooms.length]
    const floor = Math.floor(index / this.rooms.length)
    return floor === 0 ? room : `${room}${floor + 1}`
  }

  /** Returns the name of a device in topics. */
  nameOf({ kind, index, seed }: Party): string {
    const random = new RandomSource(seedFor(seed, 'name'))
    switch (kind) {
      case 'tasmota':
        return random.oneOf([`plug_${this.room(index)}`, `tasmota_${random.hex(6).toUpperCase()}`])
      case 'esphome':
        return `${this.room(index + 3)}-${random.oneOf(['node', 'air', 'climate', 'esp'])}`
      case 'owntracks':
        return `${this.people[index % this.people.length]}/${PHONES[(index + seed) % PHONES.length]}`
      case 'switch':
        return `${this.room(index + 5)}/${random.oneOf(['light', 'lamp', 'fan', 'heater', 'pump'])}${index % 3 === 0 ? '' : String(index)}`
      case 'camera':
        return `${random.oneOf(['front', 'back', 'drive', 'gate', 'yard'])}_${index}`
      default:
        return `${this.room(index)}${random.chance(0.5) ? '' : `-${random.hex(2)}`}`
    }
  }

  /** Returns the names of all devices of a kind that are present from the start. */
  namesOf(kind: string): string[] {
    return this.parties.filter(party => party.kind === kind && party.role === 'device').map(party => this.nameOf(party))
  }
}
