import { render } from '@testing-library/react'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FlapText } from './FlapText'

const classes = { flap: 'flap', cell: 'cell' }
let moved: string[]

beforeEach(() => {
  moved = []
  Element.prototype.animate = function animate(this: Element) {
    moved.push(this.textContent)
    return {} as Animation
  }
  vi.stubGlobal('matchMedia', () => ({ matches: false }))
})

afterEach(() => vi.unstubAllGlobals())

describe('flap text', () => {
  it('a new row does not move', () => {
    render(<FlapText text="18:53" classes={classes} />)
    expect(moved).toEqual([])
  })

  it('only changed characters turn', () => {
    const { rerender } = render(<FlapText text="18:53" classes={classes} />)
    rerender(<FlapText text="19:58" classes={classes} />)
    expect(moved).toEqual(['9', '8'])
  })

  it('a first value is a change', () => {
    const { rerender } = render(<FlapText text="" classes={classes} />)
    rerender(<FlapText text="18:53" classes={classes} />)
    expect(moved).toHaveLength(5)
  })

  it('reduced motion makes it a cut', () => {
    vi.stubGlobal('matchMedia', () => ({ matches: true }))
    const { rerender } = render(<FlapText text="18:53" classes={classes} />)
    rerender(<FlapText text="19:58" classes={classes} />)
    expect(moved).toEqual([])
  })
})
