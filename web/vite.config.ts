import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { lingui } from '@lingui/vite-plugin'
import react from '@vitejs/plugin-react'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

const SERVER = 'http://127.0.0.1:8000'

/** Serves the kiosk entry at /board/…, as the Gatecast server does. */
function boardEntry(): Plugin {
  return {
    name: 'gatecast-board-entry',
    configureServer(server) {
      server.middlewares.use((request, _response, next) => {
        if (request.url?.startsWith('/board/')) request.url = '/board.html'
        next()
      })
    },
  }
}

const TRACE = /^\s*(?:this|self)(?:\._centrifuge)?\._debug\(.*\);$/gm
const TRANSPORT = /return new (?:Webtransport|HttpStream|Sse|Sockjs)Transport\(/g
const SHARED_POLL = /new SharedPollSubscription\(/g
const DELTA = /applyDelta\(prevValue, deltaBytes\)/g
const WRITING = /^ {4}(?:presence|presenceStats|publish|mapPublish|mapRemove|history|remove|newSharedPollSubscription|deltaStats)\([^)]*\) \{\n(?:.*\n)*?^ {4}\}\n/gm
const LEFT_OUT = "function leftOut() { throw new Error('left out of this build'); }"

/**
 * Leaves out of the build what the socket library carries and we never reach: the four transports
 * besides WebSocket, polling subscriptions, deltas, what only publishers call, and its debug traces.
 */
function leanSocketLibrary(): Plugin {
  return {
    name: 'gatecast-lean-socket-library',
    apply: 'build',
    transform(code, id) {
      if (!/node_modules\/centrifuge\/build\/index\.mjs$/.test(id)) return undefined
      if (code.match(TRANSPORT)?.length !== 4 || !code.match(TRACE) || !code.match(SHARED_POLL) || !code.match(DELTA) || !code.match(WRITING)) {
        throw new Error('centrifuge changed its form: look again at what may be left out')
      }
      const lean = code
        .replace(WRITING, '')
        .replace(TRACE, ';')
        .replace(TRANSPORT, 'return leftOut(')
        .replace(SHARED_POLL, 'leftOut(')
        .replace(DELTA, 'leftOut()')
      return { code: `${lean}\n${LEFT_OUT}\n`, map: null }
    },
  }
}

const BUILD = '__GATECAST_BUILD__'
const WORKER = ['worker/sw.ts', 'worker/push.ts'].map((file) => new URL(file, import.meta.url))

/** Names the build by all that it serves: written into each page, and beside them for the server to announce. */
function namedBuild(): Plugin {
  return {
    name: 'gatecast-named-build',
    apply: 'build',
    generateBundle: {
      order: 'post',
      handler(_, bundle) {
        const hash = createHash('sha256')
        for (const file of WORKER) hash.update(readFileSync(file))
        const pages = []
        for (const [name, part] of Object.entries(bundle).sort(([a], [b]) => (a < b ? -1 : 1))) {
          hash.update(name)
          if (part.type !== 'asset' || !name.endsWith('.html')) continue
          pages.push(part)
          hash.update(part.source)
        }
        const build = hash.digest('hex').slice(0, 12)
        for (const part of pages) {
          const html = part.source.toString()
          if (!html.includes(BUILD)) throw new Error(`${part.fileName} has no place for the build`)
          part.source = html.replace(BUILD, build)
        }
        this.emitFile({ type: 'asset', fileName: 'build.txt', source: `${build}\n` })
      },
    },
  }
}
const SHARED = /node_modules\/(?:react|react-dom|scheduler|centrifuge|events)\/|preload-helper|src\/(?:live\/(?!flights|receipts)|text|format|locales\/screens\/en)/
const PASSENGER = /node_modules\/(?:axios|@lingui|@tanstack|react-router)\/|src\/(?:rest\/|features\/flight\/flight\.module|components\/(?:icons|passenger))/

export default defineConfig({
  plugins: [react(), lingui(), boardEntry(), namedBuild(), leanSocketLibrary()],
  resolve: {
    // Its package hands bundlers the development build.
    alias: { 'react-router': fileURLToPath(new URL('node_modules/react-router/dist/production/index.mjs', import.meta.url)) },
  },
  css: { modules: { generateScopedName: '[hash:base64:5]' } },
  build: {
    assetsInlineLimit: 0,
    manifest: true,
    modulePreload: false,
    rolldownOptions: {
      input: ['index.html', 'board.html'],
      // Few chunks: each costs its wrapping, and words that are far apart are packed less well.
      output: {
        codeSplitting: { groups: [{ name: 'shared', test: SHARED }, { name: 'passenger', test: PASSENGER }] },
      },
    },
  },
  server: {
    host: '127.0.0.1',
    proxy: {
      '/api': SERVER,
      '/connection': { target: SERVER, ws: true },
    },
  },
  test: {
    restoreMocks: true,
    projects: [
      { extends: true, test: { name: 'pure', environment: 'node', include: ['src/**/*.test.ts'] } },
      {
        extends: true,
        test: { name: 'pages', environment: 'jsdom', include: ['src/**/*.test.tsx'], setupFiles: ['src/testing/pages.ts'] },
      },
    ],
  },
})
