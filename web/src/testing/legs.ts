import frames from '../../../tests/vectors/frames.json'
import type { Leg } from '../live/leg'

/** The leg of the shared wire vectors. */
export const VECTOR_LEG = frames.leg as Leg

/** An instant on 8 March 2013, New York time. */
export function at(time: string): string {
  return new Date(Date.parse(`2013-03-08T${time}:00-05:00`)).toISOString().replace('.000Z', 'Z')
}

export function ms(time: string): number {
  return Date.parse(at(time))
}

/** A scheduled leg without estimate or gate, to be told apart by what a test adds. */
export function leg(more: Partial<Leg> = {}): Leg {
  return {
    key: 'B69-2013-03-08-JFK-MCO', version: 1, airline: 'B6', airline_name: 'JetBlue', flight_no: 9,
    origin_date: '2013-03-08', dep_airport: 'JFK', arr_airport: 'MCO', dep_city: 'New York',
    dep_tz: 'America/New_York', arr_city: 'Orlando', arr_tz: 'America/New_York',
    std: at('18:30'), sta: at('21:00'), phase: 'scheduled', irregularity: 'none', ...more,
  }
}
