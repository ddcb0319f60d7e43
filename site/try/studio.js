// Questions to the worker, and their answers

export class Canceled extends Error {}

export class Studio {
  // `tell(doing, share)` while something is under way; share is null at its end.
  // `complain(text)` where no question can be answered any more
  constructor(tell, complain) {
    Object.assign(this, {tell, complain, waiting: new Map(), number: 0, failure: null})
  }

  start() {
    this.worker = new Worker(new URL('worker.js', import.meta.url), {type: 'module'})
    this.worker.onmessage = ({data}) => this.hear(data)
    this.worker.onerror = e => this.fail(e.message)
  }

  ask(ask, args = {}) {
    const id = ++this.number
    if (this.failure) return Promise.reject(this.failure)
    return new Promise((yes, no) => {
      this.waiting.set(id, {yes, no})
      this.worker.postMessage({id, ask, ...args})
    })
  }

  hear({id, answer, error, canceled, doing, progress}) {
    if (doing) return this.waiting.has(id) && this.tell(doing, progress)
    const {yes, no} = this.waiting.get(id)
    this.waiting.delete(id)
    if (!this.waiting.size) this.tell('', null)
    if (canceled) no(new Canceled())
    else if (error) no(new Error(error))
    else yes(answer)
  }

  fail(message) {
    this.failure = new Error(`What colors here does not run${message ? ` (${message})` : ''}. `
      + 'Please load the page again, or take a newer browser.')
    this.worker.terminate()
    this.complain(this.failure.message)
    for (const {no} of this.waiting.values()) no(this.failure)
    this.waiting.clear()
    this.tell('', null)
  }

  cancel() {
    for (const id of this.waiting.keys()) this.worker.postMessage({cancel: id})
  }
}
