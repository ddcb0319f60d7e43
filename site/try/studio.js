// Questions to the worker, and their answers

export class Canceled extends Error {}

export class Studio {
  // `tell(doing, share)` while something is under way; share is null at its end
  constructor(tell) {
    Object.assign(this, {tell, waiting: new Map(), number: 0})
  }

  start() {
    this.worker = new Worker(new URL('worker.js', import.meta.url), {type: 'module'})
    this.worker.onmessage = ({data}) => this.hear(data)
    this.worker.onerror = e => this.fail(e.message || 'The worker could not be started.')
  }

  ask(ask, args = {}) {
    const id = ++this.number
    return new Promise((yes, no) => {
      this.waiting.set(id, {yes, no})
      this.worker.postMessage({id, ask, ...args})
    })
  }

  hear({id, answer, error, canceled, doing, progress}) {
    if (doing) return this.tell(doing, progress)
    const {yes, no} = this.waiting.get(id)
    this.waiting.delete(id)
    if (!this.waiting.size) this.tell('', null)
    if (canceled) no(new Canceled())
    else if (error) no(new Error(error))
    else yes(answer)
  }

  fail(message) {
    for (const {no} of this.waiting.values()) no(new Error(message))
    this.waiting.clear()
    this.tell('', null)
  }

  cancel() {
    for (const id of this.waiting.keys()) this.worker.postMessage({cancel: id})
  }
}
