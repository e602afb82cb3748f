import { expect, it } from 'vitest'
import { apart, contrast } from './colour'

it('the measures know their reference values', () => {
  expect(contrast([0, 0, 0], [1, 1, 1])).toBeCloseTo(21, 5)
  expect(apart([0, 0, 0], [1, 1, 1])).toBeCloseTo(100, 1)
  expect(apart([1, 0, 0], [0, 1, 0])).toBeCloseTo(86.6, 1)
  expect(apart([1, 0, 0], [0, 0, 1])).toBeCloseTo(52.9, 1)
})
