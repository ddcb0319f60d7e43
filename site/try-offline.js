// The service worker of try.html: its files are kept, so that it works without a network, and get
// the headers that a static server does not send and without which there are no threads.
// `tools/try_page.py` fills in what there is, by hash.

const FILES = {} // path from here -> SHA-256
const VERSION = ''
const NAME = `colorized-try-${VERSION}`, here = new URL('.', self.location).href
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
  + "style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; "
  + "form-action 'none'"
const HEADERS = {
  'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin', 'Content-Security-Policy': POLICY}
const TYPES = {html: 'text/html; charset=utf-8', js: 'text/javascript', mjs: 'text/javascript',
  css: 'text/css', json: 'application/json', svg: 'image/svg+xml', jpg: 'image/jpeg'}

const hex = buffer =>
  Array.from(new Uint8Array(buffer), v => v.toString(16).padStart(2, '0')).join('')

let isFull = false // could a file not be stored?

// A file of this version with its headers, from the cache or into it. A cache is opened only to put
// something in: a worker of the version before would make its own anew after it was deleted
const arriving = new Map()
function kept(path) {
  if (!arriving.has(path)) {
    const made = get(path).finally(() => arriving.delete(path))
    arriving.set(path, made)
  }
  return arriving.get(path).then(r => r.clone())
}

async function get(path) {
  const address = here+path
  const found = await caches.match(address, {cacheName: NAME}).catch(() => null)
  if (found) return found
  const response = await fetch(address, {cache: 'no-cache'})
  if (!response.ok) return response
  const body = await response.arrayBuffer()
  const type = TYPES[path.split('.').at(-1)] ?? 'application/octet-stream'
  const made = new Response(body, {headers: {...HEADERS, 'Content-Type': type}})
  const is = hex(await crypto.subtle.digest('SHA-256', body))
  if (is === FILES[path]) // not of another version
    await caches.open(NAME).then(o => o.put(address, made.clone())).catch(() => { isFull = true })
  return made
}

// All files, the small ones first. Throws unless each is kept
async function keepAll() {
  for (const path of Object.keys(FILES)) {
    await kept(path)
    if (!await caches.match(here+path, {cacheName: NAME})) throw new Error(`${path} is not kept`)
  }
}

// An update waits until all of it is here and no page of the version before is open: that one goes
// on with its own files, without a network, too. Where there is no room for both, it comes as it is
self.addEventListener('install', event => {
  if (self.registration.active) event.waitUntil(keepAll().catch(e => { if (!isFull) throw e }))
})
self.addEventListener('activate', event => event.waitUntil((async () => {
  for (const name of await caches.keys())
    if (name.startsWith('colorized-try-') && name !== NAME) await caches.delete(name)
  await self.clients.claim()
})()))
self.addEventListener('message', event => {
  if (event.data !== 'keep') return
  event.waitUntil(keepAll().then(() => event.source.postMessage('kept'),
    () => event.source.postMessage('not kept')))
})
self.addEventListener('fetch', event => {
  const {url, method} = event.request
  const path = url.startsWith(here) ? url.slice(here.length).split(/[?#]/)[0] : null
  if (method === 'GET' && path in FILES) event.respondWith(kept(path))
})
