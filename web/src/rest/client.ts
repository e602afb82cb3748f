/** The one axios instance. Errors are RFC 9457 problems; a network failure is one with status 0. */
import axios, { type AxiosError } from 'axios'

interface ProblemBody {
  type?: string
  title?: string
  detail?: string
  request_id?: string
}

export class Problem extends Error {
  readonly status: number
  readonly type: string
  readonly title: string
  readonly detail: string | undefined
  readonly requestId: string | undefined

  constructor(status: number, body: ProblemBody = {}) {
    super(body.title ?? `status ${status}`)
    this.name = 'Problem'
    this.status = status
    this.type = body.type ?? 'about:blank'
    this.title = body.title ?? ''
    this.detail = body.detail
    this.requestId = body.request_id
  }
}

function bodyOf(value: unknown): ProblemBody {
  return typeof value === 'object' && value !== null ? value : {}
}

export function problemOf(error: AxiosError): Problem {
  return new Problem(error.response?.status ?? 0, bodyOf(error.response?.data))
}

const TIMEOUT_MS = 10_000

export const rest = axios.create({ baseURL: '/api', timeout: TIMEOUT_MS })

rest.interceptors.response.use(undefined, (error: AxiosError) => Promise.reject(problemOf(error)))
