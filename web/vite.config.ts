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

const SHARED = /node_modules\/(?:react|react-dom|scheduler|centrifuge|events)\/|preload-helper|src\/(?:live\/|text|format|locales\/screens\/en)/

export default defineConfig({
  plugins: [react(), lingui(), boardEntry(), leanSocketLibrary()],
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
      // One chunk for what both pages need: every further one costs the board its wrapping.
      output: { codeSplitting: { groups: [{ name: 'shared', test: SHARED }] } },
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
