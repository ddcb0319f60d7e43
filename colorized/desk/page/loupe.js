// One photograph, large: gray against color, at full size, with other seeds beside it
import {ask, trouble} from './album.js'
import {icon, make} from './grid.js'

const AHEAD = 2       // neighbors that are loaded in advance, on each side
const MOST = 14       // pictures that stay loaded
const ENLARGED = 2    // a small photograph is shown at most so large
const PAUSE = 250     // milliseconds without a key before a strength is drawn

export class Loupe {
  constructor(get, on) {
    this.get = get; this.on = on
    this.pictures = new Map() // address -> picture, the oldest first
    this.zoomed = false; this.wanted_gray = false; this.wipe = 0
    new ResizeObserver(() => this.fit()).observe(get('stage'))
    get('wipe').oninput = () => this.split(+get('wipe').value)
    get('frame').onpointerdown = e => this.pressed(e)
    get('frame').onpointermove = e => this.dragged(e)
    get('frame').onpointerup = get('frame').onpointercancel = () => { this.drag = null }
  }
  get open() { return !this.get('loupe').hidden }
  get side() {
    const {clientWidth:w, clientHeight:h} = this.get('stage')
    const want = Math.max(w, h)*devicePixelRatio, sides = this.on.sides.slice(1)
    return sides.find(o => o >= want) ?? sides.at(-1)
  }
  address(p, kind) {
    const {seed, strength} = p.state
    if (kind === 'gray') return `gray/${p.key}/${this.zoomed ? 'full' : this.side}`
    const is_run = seed === null && strength === null
    if (is_run) return `color/${p.key}/${this.zoomed ? 'full' : this.side}`
    const side = this.zoomed ? this.on.sides.at(-1) : this.side
    return `colorings/${p.key}/${seed ?? 'run'}/${strength ?? 'run'}/${side}`
  }
  load(address) { // a picture that is loaded once
    let img = this.pictures.get(address)
    if (img) this.pictures.delete(address)
    else {
      img = new Image()
      img.alt = ''
      img.draggable = false
      img.src = address
      img.ready = img.decode().then(() => true, () => false)
    }
    this.pictures.set(address, img)
    for (const old of this.pictures.keys()) {
      if (this.pictures.size <= MOST) break
      this.pictures.delete(old)
    }
    return img
  }
  show(p, neighbors = []) {
    const other = p !== this.photo
    this.photo = p
    if (other) this.close_seeds()
    this.caption()
    this.draw(other)
    clearTimeout(this.later)
    this.later = setTimeout(() => { // when the eye has what it wants
      for (const o of neighbors) this.ahead(o)
    }, 30)
    if (other && !this.get('about').hidden) this.about()
  }
  ahead(p) {
    if (p.status === 'failed' || p.status === 'vanished') return
    if (p.state.seed === null && p.state.strength === null) this.load(this.address(p, 'color'))
    if (this.wanted_gray) this.load(this.address(p, 'gray'))
  }
  async draw(other) { // what is there at once, and what comes
    const p = this.photo, get = this.get, frame = get('frame')
    const gone = p.status === 'failed' || p.status === 'vanished'
    frame.hidden = gone
    get('broken').hidden = !gone
    get('broken').textContent = gone ? `${p.path} ${p.why}.` : ''
    get('busy').textContent = ''
    if (gone) return
    const color = this.load(this.address(p, 'color'))
    color.id = 'color'
    color.alt = `${p.path}, in color`
    color.style.filter = ''
    const old = get('color')
    if (color === old && !this.wanted_gray) return this.fit()
    const layers = this.wanted_gray ? [this.layer(this.load(this.address(p, 'gray')), 'gray')] : []
    if (color.complete && color.naturalWidth) {
      if (old && old !== color) old.removeAttribute('id')
      frame.replaceChildren(...layers, color, get('edge') ?? this.edge)
      return this.fit()
    }
    if (other) frame.replaceChildren(...layers, this.preview(p), this.edge) // for now
    this.fit()
    const slow = setTimeout(() => {
      const is_other = p.state.seed !== null || p.state.strength !== null
      if (p === this.photo) get('busy').textContent = is_other ? 'Inventing colors…' : 'Loading…'
    }, 300)
    const came = await color.ready
    clearTimeout(slow)
    if (p !== this.photo || this.load(this.address(p, 'color')) !== color) return
    get('busy').textContent = ''
    if (came) {
      frame.replaceChildren(...layers, color, this.edge)
      this.fit()
    } else {
      this.pictures.delete(this.address(p, 'color')) // it may come the next time
      this.on.broken(p, this.address(p, 'color'))
    }
  }
  get edge() { return this.edge_ ??= this.get('edge') }
  layer(img, id) { img.id = id; return img }
  preview(p) {
    const o = document.createElement('canvas'), thumb = this.on.thumbnail(p)
    o.id = 'preview'
    if (thumb?.complete && thumb.naturalWidth) {
      [o.width, o.height] = [thumb.naturalWidth, thumb.naturalHeight]
      o.getContext('2d').drawImage(thumb, 0, 0)
    }
    return o
  }
  fit() {
    const p = this.photo, stage = this.get('stage'), frame = this.get('frame')
    if (!p || !stage.clientWidth) return
    const img = this.get('color'), w = p.width ?? (img?.naturalWidth || 3)
    const h = p.height ?? (img?.naturalHeight || 2)
    const one = 1/devicePixelRatio // a pixel of the photograph is one of the screen
    const fits = [(stage.clientWidth-24)/w, (stage.clientHeight-24)/h, ENLARGED*one]
    const scale = this.zoomed ? one : Math.min(...fits)
    frame.style.width = `${Math.round(w*scale)}px`
    frame.style.height = `${Math.round(h*scale)}px`
    this.split(this.wipe)
  }
  // ---- gray and color ----
  split(percent) {
    this.wipe = Math.max(0, Math.min(100, percent))
    if (this.wipe && !this.wanted_gray) { this.wanted_gray = true; this.draw(false) }
    this.get('wipe').value = this.wipe
    const frame = this.get('frame')
    frame.style.setProperty('--wipe', `${this.wipe}%`)
    this.edge.hidden = !(this.wipe > 0 && this.wipe < 100)
  }
  place(e) {
    const b = this.get('frame').getBoundingClientRect()
    return (e.clientX-b.left)/b.width*100
  }
  pressed(e) {
    if (!e.isPrimary || e.button) return
    const stage = this.get('stage')
    const near = this.wipe > 0 && this.wipe < 100 && Math.abs(this.place(e)-this.wipe) < 4
    const from = [e.clientX+stage.scrollLeft, e.clientY+stage.scrollTop]
    this.drag = this.zoomed && !near ? from : 'wipe'
    this.get('frame').setPointerCapture(e.pointerId)
    if (this.drag === 'wipe') this.split(this.place(e))
  }
  dragged(e) {
    if (!this.drag) return
    if (this.drag === 'wipe') return this.split(this.place(e))
    const stage = this.get('stage')
    stage.scrollLeft = this.drag[0]-e.clientX
    stage.scrollTop = this.drag[1]-e.clientY
  }
  zoom() {
    this.zoomed = !this.zoomed
    const stage = this.get('stage')
    stage.classList.toggle('zoomed', this.zoomed)
    stage.tabIndex = this.zoomed ? 0 : -1
    if (!this.zoomed) stage.removeAttribute('tabindex')
    this.get('zoom').setAttribute('aria-pressed', this.zoomed)
    this.draw(false)
    this.fit()
    if (this.zoomed) { // begin in the middle
      stage.scrollLeft = (stage.scrollWidth-stage.clientWidth)/2
      stage.scrollTop = (stage.scrollHeight-stage.clientHeight)/2
    }
  }
  pan(x, y) { this.get('stage').scrollBy(x*120, y*120) }
  // ---- stronger and calmer: something like it at once, the colors themselves a little later ----
  strengthened(p, ratio) {
    if (p !== this.photo || !this.open) return
    const img = this.get('color')
    clearTimeout(this.pause)
    if (img) img.style.filter = `saturate(${(this.ratio = (this.ratio ?? 1)*ratio).toFixed(3)})`
    this.pause = setTimeout(() => { this.ratio = 1; if (p === this.photo) this.draw(false) }, PAUSE)
  }
  // ---- words ----
  caption() {
    const p = this.photo, s = p.state, wrong = trouble(p)
    const facts = [p.width && `${p.width} × ${p.height}`,
      p.uncertainty !== null && `uncertainty ${p.uncertainty.toFixed(1)}`,
      s.seed !== null && `seed ${s.seed}`, s.strength !== null && `strength ${s.strength}`,
      s.reviewer && `${s.reviewer}, ${when(s.time)}`].filter(Boolean).join(' · ')
    const word = make('b', s.decision, icon(s.decision), s.decision)
    this.get('what').replaceChildren(word, ' ', make('span', 'path', p.path), ' ',
      make('span', 'soft', facts))
    const told = `${wrong}: ${p.why || 'please look again'}`
    if (wrong) this.get('what').append(' ', make('b', 'wrong', icon('trouble'), told))
    if (s.note) this.get('what').append(make('span', 'noted', s.note))
  }
  async about() {
    const p = this.photo, box = this.get('about')
    box.replaceChildren(make('h2', '', 'About'), make('p', 'soft', 'Loading…'))
    let o
    try { o = await this.details(p) } catch (e) { o = {error:e.message} }
    if (p !== this.photo) return
    const list = (title, lines) => lines.length
      ? [make('h3', '', title), make('ul', '', ...lines.map(l => make('li', '', l)))] : []
    const size = p.width && `${p.width} × ${p.height}, ${o.bits} bits`
    const said = o.error ? [o.error] : [p.path, size, `Seed ${o.seed} in the album`,
      o.original_missing && `Original: ${o.original_missing}`]
    const line = h => [`${when(h.time)}, ${h.reviewer}: ${h.decision}`,
      h.seed !== null && `seed ${h.seed}`, h.strength !== null && `strength ${h.strength}`,
      h.note && `“${h.note}”`].filter(Boolean).join(', ')
    const history = (o.history ?? []).map(line)
    box.replaceChildren(make('h2', '', 'About'), ...list('Photograph', said.filter(Boolean)),
      ...list('Remarks of the run', o.remarks ?? []), ...list('Decisions', history.reverse()))
  }
  async details(p) {
    const o = await ask(`about/${p.key}`)
    p.run_strength = o.strength
    return o
  }
  // ---- other seeds ----
  get choosing() { return !this.get('seeds').hidden }
  async seeds() {
    if (this.choosing) return this.close_seeds()
    const p = this.photo, box = this.get('seeds')
    this.on.seeds_open(true)
    this.get('stage').hidden = true
    box.hidden = false
    box.replaceChildren(make('p', 'soft', 'Loading…'))
    let o
    try { o = await this.details(p) } catch (e) { o = {original_missing:e.message} }
    if (p !== this.photo || !this.choosing) return
    if (o.original_missing) {
      const why = `Other colorings cannot be made: ${o.original_missing}.`
      return box.replaceChildren(make('p', 'soft', why))
    }
    const now = p.state.seed ?? o.seed
    box.replaceChildren(...o.seeds.map((seed, i) => this.seed(p, o, seed, i, now)))
    box.querySelector('[aria-checked=true], [role=radio]')?.focus()
  }
  seed(p, o, seed, i, now) {
    const img = new Image(), strength = p.state.strength ?? 'run', is_run = seed === o.seed
    const b = make('button', '', img, make('span', '', make('kbd', '', `${i+1}`),
      ` Seed ${seed}`, is_run ? ', in the album' : ''))
    img.alt = ''
    img.onload = () => b.classList.add('there')
    img.onerror = () => { this.on.refused(`colorings/${p.key}/${seed}/${strength}/1280`) }
    img.src = `colorings/${p.key}/${seed}/${strength}/1280`
    b.setAttribute('role', 'radio')
    b.setAttribute('aria-checked', seed === now)
    b.tabIndex = seed === now ? 0 : -1
    b.value = seed
    b.onclick = () => { this.close_seeds(); this.on.chose(p, is_run ? null : seed) }
    return b
  }
  pick(i) { this.get('seeds').querySelectorAll('[role=radio]')[i]?.click() }
  step(d) { // arrows among the seeds
    const all = [...this.get('seeds').querySelectorAll('[role=radio]')]
    const i = all.indexOf(document.activeElement)
    all[Math.max(0, Math.min(all.length-1, (i < 0 ? 0 : i)+d))]?.focus()
  }
  close_seeds() {
    if (!this.choosing) return
    const box = this.get('seeds'), had = box.contains(document.activeElement)
    for (const img of box.querySelectorAll('img')) {
      img.onerror = null
      img.removeAttribute('src')
    }
    box.hidden = true
    box.replaceChildren()
    this.get('stage').hidden = false
    this.on.seeds_open(false)
    if (had) this.get('loupe').focus()
    this.fit()
  }
}

export const when = time => time ? new Date(time).toLocaleString('en',
  {day:'numeric', month:'short', hour:'2-digit', minute:'2-digit', hour12:false}) : ''
export const ahead_of = (view, i) => [1, -1, 2, -2].slice(0, 2*AHEAD).map(d => view[i+d])
  .filter(Boolean)
