import { AxiosError, type AxiosResponse } from 'axios'
import { describe, expect, it } from 'vitest'
import { Problem, problemOf } from './client'

function failed(status: number, body: unknown): AxiosError {
  return new AxiosError('x', undefined, undefined, undefined, { status, data: body } as AxiosResponse)
}

describe('problems', () => {
  it('carry what the server said', () => {
    const problem = problemOf(failed(404, { type: 'urn:x', title: 'No such flight', detail: 'XX1', request_id: 'r1' }))
    expect(problem).toBeInstanceOf(Problem)
    expect(problem).toMatchObject({ status: 404, type: 'urn:x', title: 'No such flight', detail: 'XX1', requestId: 'r1' })
  })

  it('survive a body that is no problem', () => {
    expect(problemOf(failed(502, '<html>'))).toMatchObject({ status: 502, type: 'about:blank' })
  })

  it('a network failure has status 0', () => {
    expect(problemOf(new AxiosError('Network Error')).status).toBe(0)
  })
})
