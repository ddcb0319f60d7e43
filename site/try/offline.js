// The service worker: isolation on the first visit, the files on the disk for the next

const TRIED = 'colorized-isolated'

async function controlled() {
  const workers = navigator.serviceWorker
  await workers.register('try-offline.js', {scope: './try'})
  if (workers.controller) return
  await Promise.race([
    new Promise(go => workers.addEventListener('controllerchange', go, {once: true})),
    new Promise(go => setTimeout(go, 3000))])
}

// Is the page about to be loaded again, with the headers that threads need? Once a visit
export async function isolate() {
  if (!navigator.serviceWorker) return false
  try {
    await controlled()
  } catch {
    return false // no threads, and nothing offline
  }
  if (crossOriginIsolated || !navigator.serviceWorker.controller) return false
  if (sessionStorage.getItem(TRIED)) return false
  sessionStorage.setItem(TRIED, 'yes')
  location.reload()
  return true
}

// Have all files kept; `tell(text)` when they are
export function keepOffline(tell) {
  const workers = navigator.serviceWorker
  if (!workers?.controller) return
  workers.addEventListener('message', ({data}) => {
    if (data !== 'kept') return
    tell('This page now works without a network, too.')
    document.body.dataset.kept = 'yes'
  })
  workers.controller.postMessage('keep')
}
