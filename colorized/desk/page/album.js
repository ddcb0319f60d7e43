// The album in memory: what is shown at once, and what the server has kept

const UNDECIDED = {decision:'undecided', note:'', seed:null, strength:null, version:0,
  reviewer:null, time:null, stale:false}
export const DECISIONS = ['undecided', 'accepted', 'rejected', 'flagged']
const LATER = 1000 // milliseconds until a server that does not answer is asked again

export async function ask(path, asked) { // JSON; an error knows its status and what came along
  const how = asked === undefined ? {} : {method:'POST', body:JSON.stringify(asked)}
  const r = await fetch(path, how)
  const said = await r.json().catch(() => ({}))
  if (!r.ok) throw Object.assign(new Error(said.error ?? `The desk answered ${r.status}.`),
    {status:r.status, states:said.states ?? {}})
  return said
}

export class Album extends EventTarget {
  constructor(listing) {
    super()
    const {photographs:columns, states, ...rest} = listing
    Object.assign(this, rest)
    this.photos = columns.key.map((key, i) => {
      const p = {key, i}
      for (const k in columns) p[k] = columns[k][i]
      p.folder = p.path.includes('/') ? p.path.slice(0, p.path.lastIndexOf('/')) : ''
      p.name = p.path.slice(p.folder ? p.folder.length+1 : 0)
      p.kept = {...UNDECIDED, ...states[key]}
      p.state = p.kept
      return p
    })
    this.by_key = new Map(this.photos.map(p => [p.key, p]))
    this.measured = this.photos.some(p => p.uncertainty !== null)
    this.queue = [] // what is to be kept, in order
    this.away = false // does the server not answer?
  }
  get counts() {
    const n = {all:this.photos.length, trouble:0}
    for (const k of DECISIONS) n[k] = 0
    for (const p of this.photos) { n[p.state.decision]++; if (is_trouble(p)) n.trouble++ }
    return n
  }
  tell(kind, detail) { this.dispatchEvent(new CustomEvent(kind, {detail})) }

  // ---- deciding ----
  change(photos, what) { // shown now, kept as soon as the server says so
    if (this.why_not) return this.tell('refused', `Nothing can be decided here: ${this.why_not}.`)
    for (const p of photos) p.state = {...p.state, ...what, stale:p.state.stale && !what.decision}
    this.tell('changed', photos)
    this.send({photos, what})
  }
  undo() { this.send({act:'undo'}) }
  redo() { this.send({act:'redo'}) }
  send(job) {
    if (this.why_not) return this.tell('refused', `Nothing can be decided here: ${this.why_not}.`)
    this.queue.push({...job, reviewer:this.reviewer})
    this.tell('queue')
    this.work()
  }
  async work() { // one after the other: each builds on the versions that the last one made
    if (this.working) return
    this.working = true
    while (this.queue.length) {
      const job = this.queue[0]
      try {
        this.keep((await this.post(job)).states)
        this.queue.shift()
        if (job.act) this.tell(job.act, this.last)
      } catch (e) {
        if (!e.status || e.status >= 500) { // gone; nothing is given up
          this.set_away(true)
          await new Promise(yes => setTimeout(yes, LATER))
          continue
        }
        this.queue.shift()
        this.refuse(job, e)
      }
      this.set_away(false)
      this.tell('queue')
    }
    this.working = false
  }
  post({act, photos, what, reviewer}) {
    if (act) return ask(act, {reviewer})
    const changes = photos.map(p => ({key:p.key, saw:p.saw, version:p.kept.version, ...what}))
    return ask('decisions', {reviewer, changes})
  }
  refuse(job, error) { // show what is kept, and drop what was built on what is not
    const photos = new Set(job.photos ?? [])
    this.queue = this.queue.filter(o => !o.photos?.some(p => photos.has(p)))
    for (const p of photos) p.state = p.kept
    this.keep(error.states ?? {})
    this.tell('changed', [...photos])
    this.tell('refused', error.message)
  }
  keep(states) { // what the server says; what is under way stays shown
    this.last = []
    const waits = new Set(this.queue.slice(1).flatMap(o => o.photos ?? []))
    for (const [key, state] of Object.entries(states)) {
      const p = this.by_key.get(key)
      if (!p || state.version < p.kept.version) continue
      p.kept = {...UNDECIDED, ...state}
      if (!waits.has(p)) p.state = p.kept
      this.last.push(p)
    }
    if (this.last.length) this.tell('changed', this.last)
  }
  set_away(away) {
    if (this.away === away) return
    this.away = away
    this.tell('queue')
  }

  // ---- others ----
  async hear() {
    let o
    try { o = await ask(`since/${this.event}/${this.trouble}`) }
    catch (e) { if (!e.status) this.set_away(true); return null }
    this.set_away(false)
    this.event = o.event; this.trouble = o.trouble
    const pending = new Set(this.queue.flatMap(q => q.photos ?? []))
    const news = Object.fromEntries(Object.entries(o.states).filter(([key, s]) => {
      const p = this.by_key.get(key)
      return p && s.version > p.kept.version && !pending.has(p)
    }))
    this.keep(news)
    for (const [key, status, why] of o.statuses) {
      const p = this.by_key.get(key)
      if (p) { Object.assign(p, {status, why}); this.tell('changed', [p]) }
    }
    return o
  }
}

export const is_trouble = p => p.status !== 'ok' || p.state.stale
const WRONG = {failed:'failed', vanished:'gone', replaced:'replaced', unreadable:'unreadable'}
export const trouble = p => p.status !== 'ok' ? WRONG[p.status] ?? p.status
  : p.state.stale ? 'colored anew' : ''

// ---- order ----
const by_path = (a, b) => a.i-b.i // as the server sorts them
const is_decided = p => p.state.decision !== 'undecided'
const undecided_first = (a, b) => is_decided(a)-is_decided(b)
const doubt = p => p.uncertainty ?? -1
export const ORDERS = {
  doubt: ['Most doubtful first',
    (a, b) => undecided_first(a, b) || doubt(b)-doubt(a) || by_path(a, b)],
  undecided: ['Undecided first', (a, b) => undecided_first(a, b) || by_path(a, b)],
  name: ['Name', by_path],
  newest: ['Newest coloring', (a, b) => b.day.localeCompare(a.day) || by_path(a, b)],
  oldest: ['Oldest coloring', (a, b) => a.day.localeCompare(b.day) || by_path(a, b)],
}
export function select(photos, {which, order, folder, day, text}) {
  const needle = text.trim().toLowerCase()
  const is_one = p => which === 'all'
    || (which === 'trouble' ? is_trouble(p) : p.state.decision === which)
  const says = text => text.toLowerCase().includes(needle)
  const fits = p => is_one(p) && (folder === '*' || p.folder === folder)
    && (day === '*' || p.day === day) && (!needle || says(p.path) || says(p.state.note))
  return photos.filter(fits).sort(ORDERS[order][1])
}
