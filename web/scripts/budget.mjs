/** Fails when the JavaScript that an entry pulls in is heavier than agreed. Gzip level 9, 1 KB = 1,000 bytes. */
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const DIST = new URL('../dist/', import.meta.url)
const LIMITS = [
  { html: 'board.html', limit: 100_000 },
  { html: 'index.html', limit: 150_000 },
]

const read = (path) => readFileSync(new URL(path, DIST))
const weights = new Map()

function weigh(name) {
  if (!weights.has(name)) weights.set(name, gzipSync(read(`assets/${name}`), { level: 9 }).length)
  return weights.get(name)
}

function importsOf(name) {
  const code = read(`assets/${name}`).toString()
  return [...code.matchAll(/(?:from|import)\s*["'`]\.\/([\w.-]+\.js)["'`]/g)].map((found) => found[1])
}

function closure(names, seen = new Set()) {
  for (const name of names) {
    if (seen.has(name)) continue
    seen.add(name)
    closure(importsOf(name), seen)
  }
  return seen
}

let failed = false
for (const { html, limit } of LIMITS) {
  const scripts = [...read(html).toString().matchAll(/\/assets\/([\w.-]+\.js)/g)].map((found) => found[1])
  if (scripts.length === 0) throw new Error(`${html} loads no script`)
  const bytes = [...closure(scripts)].reduce((sum, name) => sum + weigh(name), 0)
  failed ||= bytes > limit
  console.log(html.padEnd(12), `${(bytes / 1000).toFixed(1)} KB of ${limit / 1000} KB`, bytes > limit ? 'TOO HEAVY' : 'ok')
}
process.exitCode = failed ? 1 : 0
