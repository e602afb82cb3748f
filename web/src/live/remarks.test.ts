import { describe, expect, it } from 'vitest'
import { at, leg, ms } from '../testing/legs'
import type { Freshness } from './freshness'
import type { Leg, Movement } from './leg'
import { type RemarkKind, gateLook, remark } from './remarks'

const NOW = ms('18:05')

function said(more: Partial<Leg>, movement: Movement = 'departures', state: Freshness = 'live', now = NOW, airport = movement === 'departures' ? 'JFK' : 'MCO') {
  return remark({ leg: leg(more), movement, airport }, now, state)
}

const moved = { dep_gate: '22', dep_gate_was: '18', dep_gate_at: at('17:59') }

describe('departures, first rule that applies', () => {
  it.each<[string, Partial<Leg>, RemarkKind]>([
    ['1 cancelled', { irregularity: 'cancelled', phase: 'boarding', etd: at('19:30') }, 'cancelled'],
    ['1 not operating', { irregularity: 'not_operating' }, 'cancelled'],
    ['2 diverted', { irregularity: 'diverted', divert_city: 'Tampa', phase: 'airborne' }, 'diverted'],
    ['3 returned to gate', { irregularity: 'returned_to_gate', phase: 'boarding' }, 'returned'],
    ['3 air return', { irregularity: 'air_return', phase: 'airborne' }, 'returned'],
    ['3 air return that has landed', { irregularity: 'air_return', phase: 'in_block', ata: at('18:01') }, 'returned'],
    ['6 off block', { phase: 'off_block', atd: at('18:02') }, 'departed'],
    ['6 airborne', { phase: 'airborne', atot: at('18:02') }, 'departed'],
    ['6 landed there', { phase: 'landed' }, 'departed'],
    ['7 gate closed', { phase: 'gate_closed', ...moved }, 'gate_closed'],
    ['8 final call', { phase: 'final_call', ...moved }, 'final_call'],
    ['9 boarding', { phase: 'boarding', etd: at('19:30') }, 'boarding'],
    ['10 gate open', { phase: 'gate_open' }, 'go_to_gate'],
    ['11 gate changed', moved, 'gate_changed'],
    ['11 gate changed and late', { ...moved, etd: at('19:30') }, 'gate_changed'],
    ['11 too long ago', { ...moved, dep_gate_at: at('17:45') }, 'on_time'],
    ['11 and back again', { ...moved, dep_gate: '18' }, 'on_time'],
    ['12 indefinite', { next_info_at: at('19:30'), etd: at('20:00') }, 'next_info'],
    ['12 in the past', { next_info_at: at('18:00'), etd: at('20:00') }, 'delayed'],
    ['13 +15', { etd: at('18:45') }, 'delayed'],
    ['13 time passed without a departure', { std: at('18:00') }, 'delayed'],
    ['13 not while the word may be under way', { std: at('18:04') }, 'on_time'],
    ['14 -10', { etd: at('18:20') }, 'early'],
    ['15 +14', { etd: at('18:44') }, 'expected'],
    ['15 +1', { etd: at('18:31') }, 'expected'],
    ['16 check-in', { phase: 'check_in' }, 'check_in'],
    ['16 check-in closed', { phase: 'check_in', check_in_close_at: at('18:00') }, 'on_time'],
    ['16 check-in hours', { check_in_open_at: at('15:00'), check_in_close_at: at('18:10') }, 'check_in'],
    ['17 on time', {}, 'on_time'],
    ['17 -9', { etd: at('18:21') }, 'on_time'],
    ['17 more than 3 h ahead', { std: at('21:06') }, 'none'],
    ['17 uncertain', { uncertain: true }, 'none'],
  ])('%s', (_, more, kind) => {
    expect(said(more).kind).toBe(kind)
  })

  it('carries the second fact, time or place', () => {
    expect(said({ irregularity: 'cancelled' }).also).toBe('airline_desk')
    expect(said({ ...moved, etd: at('19:30') }).also).toBe('delayed')
    expect(said(moved).also).toBeUndefined()
    expect(said({ phase: 'off_block', atd: at('18:02') }).at).toBe(at('18:02'))
    expect(said({ irregularity: 'diverted', divert_city: 'Tampa' }).place).toBe('Tampa')
    expect(said({ next_info_at: at('19:30') }).at).toBe(at('19:30'))
    expect(said({ etd: at('19:30') }).at).toBe(at('19:30'))
    expect(said({ std: at('18:00') })).toEqual({ kind: 'delayed' })
  })
})

describe('arrivals, first rule that applies', () => {
  it.each<[string, Partial<Leg>, RemarkKind]>([
    ['1 cancelled', { irregularity: 'cancelled' }, 'cancelled'],
    ['2 diverted elsewhere', { irregularity: 'diverted', divert_airport: 'TPA', phase: 'airborne' }, 'diverted_to'],
    ['3 air return', { irregularity: 'air_return', phase: 'airborne' }, 'none'],
    ['3 landed where it came from', { irregularity: 'air_return', phase: 'landed', aldt: at('17:58') }, 'none'],
    ['4 bags done', { phase: 'bags_done', ata: at('18:01') }, 'bags_delivered'],
    ['4 in block', { phase: 'in_block', ata: at('18:01') }, 'arrived'],
    ['5 landed', { phase: 'landed', aldt: at('17:58') }, 'landed'],
    ['6 approaching', { phase: 'approaching', eta: at('18:15') }, 'expected'],
    ['6 airborne, however late', { phase: 'airborne', eta: at('22:30') }, 'expected'],
    ['6 off block', { phase: 'off_block' }, 'expected'],
    ['7-11 say nothing here', { phase: 'boarding', ...moved }, 'on_time'],
    ['12 indefinite', { next_info_at: at('19:30') }, 'next_info'],
    ['13 +15', { eta: at('21:15') }, 'delayed'],
    ['14 -10', { eta: at('20:50') }, 'expected'],
    ['15 +14', { eta: at('21:14') }, 'expected'],
    ['16 is not for arrivals', { phase: 'check_in' }, 'on_time'],
    ['17 on time', {}, 'on_time'],
  ])('%s', (_, more, kind) => {
    expect(said(more, 'arrivals').kind).toBe(kind)
  })

  it('a diverted flight is an ordinary arrival where it comes down', () => {
    const diverted = { irregularity: 'diverted', divert_airport: 'TPA', phase: 'landed', aldt: at('18:00') } as const
    expect(said(diverted, 'arrivals', 'live', NOW, 'TPA').kind).toBe('landed')
    expect(said(diverted, 'arrivals', 'live', NOW, 'MCO')).toEqual({ kind: 'diverted_to', place: 'TPA' })
  })
})

describe('stale data never looks live', () => {
  it.each<[string, Partial<Leg>, RemarkKind]>([
    ['boarding', { phase: 'boarding' }, 'check_gate'],
    ['final call', { phase: 'final_call' }, 'check_gate'],
    ['go to gate', { phase: 'gate_open' }, 'check_gate'],
    ['gate changed', moved, 'none'],
    ['gate changed of a late flight', { ...moved, etd: at('19:30') }, 'delayed'],
    ['on time', {}, 'none'],
    ['check-in', { phase: 'check_in' }, 'none'],
    ['overdue: the clock may not add a delay', { std: at('17:00') }, 'none'],
    ['cancelled stays', { irregularity: 'cancelled' }, 'cancelled'],
    ['known delay stays', { etd: at('19:30') }, 'delayed'],
    ['departed stays', { phase: 'off_block' }, 'departed'],
    ['diverted stays', { irregularity: 'diverted' }, 'diverted'],
  ])('%s', (_, more, kind) => {
    for (const state of ['stale', 'down'] as const) expect(said(more, 'departures', state).kind).toBe(kind)
  })

  it('late is still believed', () => {
    expect(said({ phase: 'boarding' }, 'departures', 'late').kind).toBe('boarding')
    expect(said({}, 'departures', 'late').kind).toBe('on_time')
  })

  it('arrivals lose "on time" too', () => {
    expect(said({}, 'arrivals', 'stale').kind).toBe('none')
  })
})

describe('gate tile', () => {
  const look = (more: Partial<Leg>, state: Freshness = 'live') =>
    gateLook({ leg: leg({ dep_gate: '22', ...more }), movement: 'departures', airport: 'JFK' }, NOW, state)

  it('is plain when known, filled when people should go, ringed when it moved', () => {
    expect(look({})).toEqual({ filled: false, ringed: false, quiet: false })
    for (const phase of ['gate_open', 'boarding', 'final_call'] as const) expect(look({ phase }).filled).toBe(true)
    expect(look(moved)).toEqual({ filled: true, ringed: true, was: '18', quiet: false })
    expect(look({ phase: 'off_block' })).toMatchObject({ filled: false, quiet: true })
    expect(look({ ...moved, irregularity: 'cancelled' })).toEqual({ filled: false, ringed: false, quiet: true })
  })

  it('is neither filled nor ringed in stale, but the old gate stays struck', () => {
    expect(look({ ...moved, phase: 'boarding' }, 'stale')).toEqual({ filled: false, ringed: false, was: '18', quiet: false })
  })
})
