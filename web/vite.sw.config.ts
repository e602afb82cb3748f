/** The second build: the service worker, told what the first one made for the board. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { defineConfig } from 'vite'

interface Chunk {
  file: string
  css?: string[]
  assets?: string[]
  imports?: string[]
  dynamicImports?: string[]
}

const RARE = /-ext-|cyrillic|greek|vietnamese/
const read = (path: string) => readFileSync(new URL(`dist/${path}`, import.meta.url))
const chunks = JSON.parse(read('.vite/manifest.json').toString()) as Partial<Record<string, Chunk>>

function reached(name: string, seen = new Set<string>()): Set<string> {
  const chunk = chunks[name]
  if (chunk === undefined || seen.has(name)) return seen
  seen.add(name)
  for (const next of [...(chunk.imports ?? []), ...(chunk.dynamicImports ?? [])]) reached(next, seen)
  return seen
}

const files = [...reached('board.html')].flatMap((name) => {
  const chunk = chunks[name]
  return chunk ? [chunk.file, ...(chunk.css ?? []), ...(chunk.assets ?? [])] : []
})
const page = { url: '/board.html', revision: createHash('sha256').update(read('board.html')).digest('hex') }
const hashed = [...new Set(files)].filter((file) => !RARE.test(file)).sort()
const precache = [page, ...hashed.map((file) => ({ url: `/${file}`, revision: '' }))]
const version = createHash('sha256').update(JSON.stringify(precache)).digest('hex').slice(0, 12)

export default defineConfig({
  define: { __PRECACHE__: JSON.stringify(precache), __VERSION__: JSON.stringify(version) },
  build: {
    emptyOutDir: false,
    target: 'es2022',
    lib: { entry: 'worker/sw.ts', formats: ['es'], fileName: () => 'sw.js' },
  },
})
