// The page: who does what when a key or a button is pressed
import {Album, ORDERS, ask, select} from './album.js'
import {ask_note, ask_reviewer, draw_map, show_delivery} from './dialogs.js'
import {Grid, describe, icon, make} from './grid.js'
import {act_of} from './keys.js'
import {Loupe, ahead_of} from './loupe.js'

const $ = id => document.getElementById(id)
const WORDS = {all:'All', undecided:'Undecided', accepted:'Accepted', rejected:'Rejected',
  flagged:'Flagged', trouble:'Trouble'}
const remembered = { // by this browser, for this address
  get(k, or) {
    try { return JSON.parse(localStorage.getItem(`desk-${k}`)) ?? or } catch { return or }
  },
  set(k, v) {
    try { localStorage.setItem(`desk-${k}`, JSON.stringify(v)) } catch { /* not allowed */ }
  },
}
let album, grid, loupe, filter
const single = () => remembered.get('single', true)
const advances = () => remembered.get('advance', true)

// ---- words ----
const number = n => n.toLocaleString('en')
function tell(text) { $('said').textContent = text }
function complain(text) {
  if ([...$('messages').children].some(o => o.firstChild.textContent === text)) return
  const close = make('button', 'link', 'Close')
  const line = make('p', '', make('span', '', text), close)
  close.onclick = () => { line.remove(); focus_view() }
  $('messages').append(line)
}
function count() {
  const n = album.counts, done = n.all-n.undecided
  $('count').textContent = `${number(done)} of ${number(n.all)} decided`
  for (const b of $('which').children) {
    b.querySelector('.n').textContent = number(n[b.value])
    b.hidden = b.value === 'trouble' && !n.trouble && filter.which !== 'trouble'
  }
  $('deliver-what').textContent = n.accepted ? `${number(n.accepted)} accepted photographs go to `
    + `${album.out}, under their own names, with a table and a summary.`
    : 'Nothing is accepted yet.'
}
function unkept() {
  const n = album.queue.length, o = $('unkept')
  o.hidden = !(album.away || n > 3)
  const waits = n ? ` ${number(n)} not kept yet; it is tried again.` : ''
  o.textContent = album.away ? `The desk does not answer.${waits}` : `${number(n)} being kept`
}

// ---- which photographs, and in which order ----
function options(box, pairs, now) {
  box.replaceChildren(...pairs.map(([v, text]) => new Option(text, v, false, v === now)))
}
function orders() { // without the one for which nothing was measured
  return Object.keys(ORDERS).filter(k => k !== (album.measured ? 'undecided' : 'doubt'))
}
function fill_filters() {
  options($('order'), orders().map(k => [k, ORDERS[k][0]]), filter.order)
  const all = k => [...new Set(album.photos.map(p => p[k]))].sort()
  const folders = all('folder'), days = all('day').filter(Boolean).reverse()
  options($('folder'), [['*', 'All'], ...folders.map(o => [o, o || '(top)'])], '*')
  options($('day'), [['*', 'Any day'], ...days.map(o => [o, o])], '*')
  $('folder-label').hidden = folders.length < 2
  $('day-label').hidden = days.length < 2
  $('which').replaceChildren(...Object.entries(WORDS).map(([k, word]) => {
    const b = make('button', '', ...(k === 'all' ? [] : [icon(k)]), `${word} `, make('span', 'n'))
    b.value = k
    b.setAttribute('role', 'radio')
    b.onclick = e => {
      narrow({which:k})
      if (e.detail) focus_view() // by mouse: the keys go to the photographs again
    }
    return b
  }))
}
function narrow(what, keep = grid.photo) {
  Object.assign(filter, what)
  for (const b of $('which').children) {
    const on = b.value === filter.which
    b.setAttribute('aria-checked', on)
    b.tabIndex = on ? 0 : -1
  }
  const view = select(album.photos, filter)
  grid.show(view, Math.max(0, view.indexOf(keep)))
  $('empty').hidden = view.length > 0
  $('grid').hidden = loupe.open || !view.length
  if (loupe.open && !view.length) close()
  else moved(false)
  tell(`${number(view.length)} photographs`)
}
$('which').onkeydown = e => { // a radio group is one stop of Tab, and arrows go through it
  const d = {ArrowRight:1, ArrowDown:1, ArrowLeft:-1, ArrowUp:-1}[e.key]
  if (!d) return
  const all = [...$('which').children].filter(b => !b.hidden)
  const next = all[(all.indexOf(document.activeElement)+d+all.length)%all.length]
  e.preventDefault(); e.stopPropagation()
  next.click()
  next.focus()
}

// ---- moving and looking ----
function moved(say = true) {
  const p = grid.photo, several = grid.chosen.size > 1
  if (loupe.open && p) loupe.show(p, ahead_of(grid.view, grid.current))
  for (const k of ['accepted', 'rejected', 'flagged'])
    $(k).setAttribute('aria-pressed', !!p && !several && p.state.decision === k)
  for (const b of document.querySelectorAll('footer button')) b.setAttribute('aria-disabled', !p)
  if (!p || !say) return
  if (several) tell(`${number(grid.chosen.size)} chosen`)
  else if (loupe.open) tell(`${grid.current+1} of ${number(grid.view.length)}: ${describe(p)}`)
}
function focus_view() {
  const to = loupe.open ? 'loupe' : grid.view.length ? 'grid' : 'all'
  $(to).focus({preventScroll:true})
}
function open() {
  if (!grid.photo) return
  $('grid').hidden = true
  $('loupe').hidden = false
  document.body.classList.add('looking')
  grid.chosen.clear()
  moved()
  loupe.fit()
  focus_view()
}
function close() {
  loupe.close_seeds()
  $('loupe').hidden = true
  $('grid').hidden = !grid.view.length
  document.body.classList.remove('looking')
  grid.lay()
  grid.reveal()
  focus_view()
}

// ---- deciding ----
function may_decide() {
  if (album.why_not) complain(`Nothing can be decided here: ${album.why_not}.`)
  return !album.why_not
}
async function decide(what, go_on = false) {
  const targets = grid.targets
  if (!targets.length || !may_decide()) return
  if (!album.reviewer && !await name_reviewer()) return
  album.change(targets, what)
  const word = what.decision ?? 'kept'
  if (targets.length > 1) {
    grid.chosen.clear()
    grid.mark()
    tell(`${number(targets.length)} ${word}`)
  } else if (go_on && advances() && grid.current < grid.view.length-1) {
    grid.go(grid.current+1)
    tell(`${targets[0].name} ${word}. ${describe(grid.photo)}`)
  } else tell(`${targets[0].name} ${word}`)
}
async function strengthen(step) {
  const p = grid.photo
  if (!p || !may_decide()) return
  if (p.run_strength === undefined && p.state.strength === null)
    await loupe.details(p).catch(e => complain(e.message))
  const run = p.run_strength ?? 1, now = p.state.strength ?? run
  const next = step === null ? run : Math.max(0, Math.min(3, Math.round((now+step)*10)/10))
  if (next === now && step !== null) return
  const seed = step === null ? {seed:null} : {}
  grid.chosen.clear()
  await decide({strength:next === run ? null : next, ...seed})
  loupe.strengthened(p, now ? next/now : 1)
  tell(step === null ? 'As in the album' : `Strength ${next}`)
}
async function name_reviewer() {
  const name = await ask_reviewer(album.reviewer)
  if (name) { remembered.set('reviewer', name); set_reviewer(name) }
  return name
}
function set_reviewer(name) {
  album.reviewer = name
  $('reviewer').textContent = name || 'Who are you?'
  $('reviewer').setAttribute('aria-label', name ? `Reviewer: ${name}` : 'Say who is reviewing')
}
async function back_and_forth(act) {
  if (!may_decide()) return
  if (!album.reviewer && !await name_reviewer()) return
  album[act]()
}
async function note() {
  const targets = grid.targets
  if (!targets.length || !may_decide()) return
  const text = await ask_note(targets)
  focus_view()
  const is_new = targets.some(p => p.state.note !== text)
  if (text !== null && is_new) decide({note:text})
}

// ---- keys and buttons ----
const row = () => loupe.open ? 1 : grid.columns
const ACTS = {
  accepted: () => decide({decision:'accepted'}, true),
  rejected: () => decide({decision:'rejected'}, true),
  flagged: () => decide({decision:'flagged'}, true),
  undecided: () => decide({decision:'undecided'}),
  note, undo: () => back_and_forth('undo'), redo: () => back_and_forth('redo'),
  stronger: () => strengthen(0.1), calmer: () => strengthen(-0.1), as_run: () => strengthen(null),
  seeds: () => { if (!grid.photo) return; if (!loupe.open) open(); loupe.seeds() },
  next: () => loupe.choosing ? loupe.step(1) : grid.go(grid.current+1),
  previous: () => loupe.choosing ? loupe.step(-1) : grid.go(grid.current-1),
  below: () => loupe.choosing ? loupe.step(3) : grid.go(grid.current+row()),
  above: () => loupe.choosing ? loupe.step(-3) : grid.go(grid.current-row()),
  page_on: () => grid.go(grid.current+(loupe.open ? 10 : grid.page)),
  page_back: () => grid.go(grid.current-(loupe.open ? 10 : grid.page)),
  first: () => grid.go(0), last: () => grid.go(grid.view.length-1),
  choose_all: () => { if (!loupe.open) grid.choose_all() },
  again: () => narrow({}),
  open: () => loupe.open ? loupe.choosing || close() : open(),
  back: () => loupe.choosing ? loupe.close_seeds() : loupe.open ? close() : grid.go(grid.current),
  leave: () => { document.activeElement.blur(); focus_view() },
  wipe: () => look(() => loupe.split(loupe.wipe === 50 ? 0 : 50)),
  gray: () => look(() => loupe.split(loupe.wipe === 100 ? 0 : 100)),
  less: () => look(() => loupe.split(loupe.wipe-5)),
  more: () => look(() => loupe.split(loupe.wipe+5)),
  zoom: () => look(() => loupe.zoom()),
  info: () => look(info),
  search: () => $('search').focus(),
  help: () => $('keys').showModal(),
}
function look(act) { if (!loupe.open) open(); if (loupe.open && !loupe.choosing) act() }
function info() {
  const box = $('about')
  box.hidden = !box.hidden
  $('info').setAttribute('aria-expanded', !box.hidden)
  if (!box.hidden) loupe.about()
  loupe.fit()
}
const STEPS = {right:[1, 0], left:[-1, 0], down:[0, 1], up:[0, -1]}
function press(name) {
  const [kind, more] = name.split('_')
  if (kind === 'pick') return loupe.choosing && loupe.pick(more-1)
  if (kind === 'extend') {
    const [x, y] = STEPS[more]
    if (loupe.open) loupe.pan(x, y)
    else grid.go(grid.current+x+y*grid.columns, true)
    return
  }
  ACTS[name]?.()
}
document.addEventListener('keydown', e => {
  if (!album) return
  const name = act_of(e, single())
  if (!name) return
  e.preventDefault()
  press(name)
})
for (const b of document.querySelectorAll('[data-act]')) b.onclick = () => {
  if (b.getAttribute('aria-disabled') !== 'true') press(b.dataset.act)
}
$('back').onclick = close
$('zoom').onclick = ACTS.zoom
$('info').onclick = info
$('help').onclick = ACTS.help
$('all').onclick = () => { reset(); focus_view() }
$('reviewer').onclick = async () => { await name_reviewer(); focus_view() }
$('order').onchange = () => {
  remembered.set('order', $('order').value)
  narrow({order:$('order').value})
}
$('folder').onchange = () => narrow({folder:$('folder').value})
$('day').onchange = () => narrow({day:$('day').value})
$('search').oninput = () => narrow({text:$('search').value})
$('size').oninput = () => {
  grid.resize(+$('size').value)
  remembered.set('size', +$('size').value)
}
for (const k of ['single', 'advance']) $(k).onchange = () => remembered.set(k, $(k).checked)
function reset() {
  $('search').value = ''
  $('folder').value = $('day').value = '*'
  narrow({which:'all', folder:'*', day:'*', text:''})
}

// ---- out ----
$('deliver').onclick = () => {
  show_delivery(null)
  $('table-said').textContent = ''
  count()
  $('deliver-dialog').showModal()
}
$('deliver-now').onclick = async () => {
  const failed = error => show_delivery({state:'failed', error})
  if (album.queue.length) return failed('Not everything is kept yet.')
  try { await ask('deliveries', {}) } catch (e) { return failed(e.message) }
  for (let o = {state:'at work', done:0, of:0}; o?.state === 'at work';) {
    show_delivery(o)
    await new Promise(yes => setTimeout(yes, 200))
    o = (await album.hear())?.delivery ?? o
    show_delivery(o)
  }
}
$('table').onchange = async () => {
  const file = $('table').files[0], said = $('table-said')
  if (!file) return
  said.textContent = album.reviewer ? 'Reading…' : 'Say first who is reviewing, at the top right.'
  if (!album.reviewer) return
  try {
    const r = await fetch(`decisions.csv?reviewer=${encodeURIComponent(album.reviewer)}`,
      {method:'POST', body:await file.arrayBuffer()})
    const o = await r.json()
    if (!r.ok) throw new Error(o.error)
    album.keep(o.states)
    const n = Object.keys(o.states).length
    said.textContent = `${number(n)} photographs changed; Undo takes all of it back.`
  } catch (e) { said.textContent = `Nothing was changed.\n${e.message}` }
  $('table').value = ''
}

// ---- what turns out ----
async function broken(p) { // why a picture did not come
  const o = await ask(`about/${p.key}`).catch(() => null)
  if (!o || o.status === p.status) return
  Object.assign(p, {status:o.status, why:o.why})
  changed([p])
}
async function refused(address) { // a coloring that could not be made: the server knows why
  const o = await ask(address).catch(e => e)
  if (o instanceof Error && o.status) complain(`This coloring could not be made: ${o.message}`)
}
function changed(photos) {
  grid.changed(photos)
  if (loupe.open && photos.includes(loupe.photo)) loupe.show(loupe.photo, [])
  count()
  moved(false)
}
function turned([p]) { // undo leads to what it changed
  if (!p) return
  const i = grid.view.indexOf(p)
  if (i >= 0) grid.go(i)
  tell(describe(p))
}

async function begin() {
  let listing
  try { listing = await ask('album') } catch (e) { return complain(e.message) }
  album = new Album(listing)
  const order = remembered.get('order', null)
  const usual = album.measured ? 'doubt' : 'undecided'
  const known = orders().includes(order) ? order : usual
  filter = {which:'all', order:known, folder:'*', day:'*', text:''}
  $('name').textContent = album.album
  document.title = `${album.album}: desk`
  grid = new Grid($('grid'), $('sheet'), {moved, open, broken})
  loupe = new Loupe($, {sides:album.sides, thumbnail:p => grid.pictures.get(p),
    broken:(p, address) => { broken(p); if (address.startsWith('colorings')) refused(address) },
    refused, chose:(p, seed) => { grid.chosen.clear(); decide({seed}) },
    seeds_open:on => $('other').setAttribute('aria-expanded', on)})
  grid.size = remembered.get('size', 190)
  $('size').value = grid.size
  for (const k of ['single', 'advance']) $(k).checked = remembered.get(k, true)
  set_reviewer(remembered.get('reviewer', '') || album.reviewer)
  album.addEventListener('changed', e => changed(e.detail))
  album.addEventListener('queue', unkept)
  album.addEventListener('refused', e => complain(e.detail))
  album.addEventListener('undo', e => turned(e.detail))
  album.addEventListener('redo', e => turned(e.detail))
  fill_filters()
  draw_map()
  notice()
  narrow({}, null)
  count()
  $('grid').focus({preventScroll:true})
  document.body.dataset.ready = 'yes'
  hear()
}
function notice() {
  const said = album.why_not ? `Looking works; nothing can be decided here: ${album.why_not}.`
    : album.measured ? ''
      : 'This run has not measured how uncertain the colors of each photograph are. Colored anew '
        + 'with --uncertainty, the most doubtful ones come first.'
  $('notice').hidden = !said || !album.why_not && remembered.get('hinted', false)
  $('notice').firstElementChild.textContent = said
  $('notice').lastElementChild.hidden = !!album.why_not
  $('notice').lastElementChild.onclick = () => {
    $('notice').hidden = true
    remembered.set('hinted', true)
    focus_view()
  }
}
async function hear() { // what others decide
  for (;;) {
    await new Promise(yes => setTimeout(yes, document.hidden ? 15000 : 3000))
    await album.hear()
  }
}
addEventListener('beforeunload', e => { if (album?.queue.length) e.preventDefault() })
begin()
