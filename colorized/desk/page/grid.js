// A grid of any length: only what can be seen, and a little more, is in the document
import {trouble} from './album.js'

const SPARE = 2   // rows above and below
const MOST = 400  // pictures that stay loaded
const GAP = 6, FOOT = 26
const icon = name => {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use')
  use.setAttribute('href', `#i-${name}`)
  svg.setAttribute('aria-hidden', 'true')
  svg.append(use)
  return svg
}
const make = (tag, name, ...inside) => {
  const o = document.createElement(tag)
  if (name) o.className = name
  o.append(...inside)
  return o
}
export {icon, make}

export class Grid {
  constructor(box, sheet, on) {
    Object.assign(this, {box, sheet, on, view:[], current:0, chosen:new Set(), size:190})
    this.cells = new Map()    // photograph -> its cell in the document
    this.pictures = new Map() // photograph -> its loaded picture, the oldest first
    box.addEventListener('scroll', () => this.soon(), {passive:true})
    new ResizeObserver(() => this.lay()).observe(box)
    sheet.addEventListener('click', e => this.clicked(e))
    sheet.addEventListener('dblclick', e => { if (e.target.closest('.cell')) on.open() })
  }
  get photo() { return this.view[this.current] }
  show(view, current = 0) {
    this.view = view
    this.current = Math.max(0, Math.min(current, view.length-1))
    this.chosen.clear()
    this.lay()
    this.reveal()
  }
  resize(size) { this.size = size; this.lay(); this.reveal() }
  lay() { // how many columns, how high
    const width = this.box.clientWidth-2*GAP
    if (width <= 0) return
    const size = Math.min(this.size, Math.floor((width-GAP)/2)) // two in a row at least
    this.columns = Math.floor((width+GAP)/(size+GAP))
    this.width = Math.floor((width+GAP)/this.columns)-GAP
    this.row = this.width+FOOT+GAP
    this.rows = Math.ceil(this.view.length/this.columns)
    this.sheet.style.height = `${this.rows*this.row+GAP}px`
    this.draw(true)
  }
  soon() {
    if (this.waiting) return
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.draw() })
  }
  draw(all = false) {
    if (!this.row) return
    const top = this.box.scrollTop, bottom = top+this.box.clientHeight
    const first = Math.max(0, Math.floor(top/this.row)-SPARE)*this.columns
    const last = Math.min(this.view.length, (Math.ceil(bottom/this.row)+SPARE)*this.columns)
    const wanted = new Map()
    for (let i = first; i < last; i++) wanted.set(this.view[i], i)
    if (this.photo) wanted.set(this.photo, this.current) // what has the focus is always there
    for (const [p, cell] of this.cells)
      if (!wanted.has(p)) { cell.remove(); this.cells.delete(p); this.drop(p, cell) }
    for (const [p, i] of wanted) {
      const old = this.cells.get(p), cell = old ?? this.cell(p)
      if (!old || all || cell.at !== i) this.place(cell, p, i)
      if (!old) this.sheet.append(cell)
    }
    this.mark()
  }
  cell(p) {
    const cell = make('div', 'cell', make('div', 'picture'), make('div', 'foot'))
    cell.setAttribute('role', 'option')
    cell.id = `c-${p.key}`
    this.cells.set(p, cell)
    this.picture(p, cell.firstChild)
    this.label(p, cell)
    return cell
  }
  place(cell, p, i) {
    cell.at = i
    const x = GAP+(i%this.columns)*(this.width+GAP), y = GAP+Math.floor(i/this.columns)*this.row
    cell.style.width = `${this.width}px`
    cell.firstChild.style.height = `${this.width}px`
    cell.style.transform = `translate(${x}px, ${y}px)`
    cell.setAttribute('aria-posinset', i+1)
    cell.setAttribute('aria-setsize', this.view.length)
  }
  picture(p, box) {
    let img = this.pictures.get(p)
    if (img) this.pictures.delete(p)
    else {
      img = new Image()
      img.alt = ''
      img.decoding = 'async'
      img.onload = () => img.classList.add('there')
      img.onerror = () => { img.failed = true; this.on.broken(p) }
      if (p.status !== 'failed' && p.status !== 'vanished') img.src = `thumbnails/${p.key}`
      else img.failed = true
    }
    this.pictures.set(p, img) // at the end: the youngest
    if (this.pictures.size > MOST) this.forget()
    box.append(img)
  }
  drop(p, cell) { // what was scrolled past is not loaded after all
    const img = this.pictures.get(p)
    if (img && !img.complete && !img.failed) { // removing `src` ends the request without an error
      img.removeAttribute('src')
      this.pictures.delete(p)
    }
    cell.firstChild.replaceChildren()
  }
  forget() {
    for (const p of this.pictures.keys()) {
      if (this.pictures.size <= MOST) return
      if (!this.cells.has(p)) this.pictures.delete(p)
    }
  }
  label(p, cell) { // what is said of a photograph, to the eye and to the ear
    const s = p.state, wrong = trouble(p), foot = cell.lastChild
    cell.dataset.decision = s.decision
    cell.classList.toggle('wrong', !!wrong)
    const mark = make('span', `mark ${s.decision}`, icon(s.decision))
    const name = make('span', 'name', p.name)
    foot.replaceChildren(mark, name)
    if (s.note) foot.append(make('span', 'small', icon('note')))
    if (wrong) foot.append(make('span', 'wrong', icon('trouble'), wrong))
    else if (s.seed !== null || s.strength !== null)
      foot.append(make('span', 'small', icon('seeds')))
    else if (p.uncertainty !== null) foot.append(make('span', 'doubt', p.uncertainty.toFixed(1)))
    cell.title = p.path
    cell.setAttribute('aria-label', describe(p))
  }
  mark() { // the current one, and those that are chosen
    for (const [p, cell] of this.cells) {
      const current = p === this.photo
      cell.classList.toggle('current', current)
      cell.classList.toggle('chosen', this.chosen.has(p))
      cell.setAttribute('aria-selected', current || this.chosen.has(p))
    }
    if (this.photo) this.box.setAttribute('aria-activedescendant', `c-${this.photo.key}`)
    else this.box.removeAttribute('aria-activedescendant')
  }
  changed(photos) {
    for (const p of photos) {
      const cell = this.cells.get(p)
      if (cell) this.label(p, cell)
    }
  }
  // ---- moving ----
  go(i, extend = false) {
    if (!this.view.length) return
    const to = Math.max(0, Math.min(this.view.length-1, i))
    if (extend) {
      this.anchor ??= this.current
      this.chosen = new Set(this.view.slice(Math.min(this.anchor, to), Math.max(this.anchor, to)+1))
    } else { this.chosen.clear(); this.anchor = null }
    this.current = to
    this.reveal()
    this.on.moved()
  }
  reveal() {
    if (!this.row || !this.photo) return
    const y = Math.floor(this.current/this.columns)*this.row, height = this.box.clientHeight
    if (y < this.box.scrollTop) this.box.scrollTop = y
    else if (y+this.row+GAP > this.box.scrollTop+height) this.box.scrollTop = y+this.row+GAP-height
    this.draw()
  }
  get page() { return Math.max(1, Math.floor(this.box.clientHeight/this.row))*this.columns }
  clicked(e) {
    const cell = e.target.closest('.cell')
    if (!cell) return
    const i = cell.at, p = this.view[i]
    if (e.shiftKey) return this.go(i, true)
    if (!e.ctrlKey && !e.metaKey) return this.go(i)
    if (!this.chosen.size && this.photo) this.chosen.add(this.photo)
    if (!this.chosen.delete(p)) this.chosen.add(p)
    this.current = i
    this.reveal()
    this.on.moved()
  }
  choose_all() { this.chosen = new Set(this.view); this.mark(); this.on.moved() }
  get targets() { return this.chosen.size ? [...this.chosen] : this.photo ? [this.photo] : [] }
}

export function describe(p) {
  const s = p.state, wrong = trouble(p)
  return [p.path, s.decision, s.reviewer && s.decision !== 'undecided' && `by ${s.reviewer}`,
    wrong && `${wrong} ${p.why}`.trim(),
    p.uncertainty !== null && `uncertainty ${p.uncertainty.toFixed(1)}`,
    s.seed !== null && `seed ${s.seed}`, s.strength !== null && `strength ${s.strength}`,
    s.note && `note: ${s.note}`].filter(Boolean).join(', ')
}
