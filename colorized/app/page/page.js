'use strict'
// The page of `colorized app`: the part `app` of the book tells why it is as it is. No library, no request to anywhere but its own server.
const $ = id => document.getElementById(id)
const FIRST = 5, MORE = 6, EMPTY = [], JSON_TYPE = {'Content-Type':'application/json'}
const COLORS = {'Light skin':'#dfb497', 'Dark skin':'#8a5a3c', 'Blond':'#c8a55f', 'Brown':'#5f3f28', 'Red':'#9c2f2c', 'Brick':'#a4664c', 'Straw':'#d8bd7a', 'Leaf green':'#5d7a3e',
  'Bottle green':'#2f5a47', 'Sky blue':'#8db4d4', 'Navy blue':'#2c406c', 'Violet':'#6d4f80', 'Rose':'#d693a0', 'Wood':'#8d6740', 'No color, gray':'#808080'}
const SIZES = {Fine:0.012, Middle:0.025, Broad:0.06}
let visit, photos = [], now = null, brush = null, radius = SIZES.Middle, running = false

// ---- talking to the server ----
function check(r) {
  if (!r.ok) throw new Error(r.status === 503 ? 'Too many people are waiting. Please try again in a moment.' : 'The program does not answer as it should. Please load the page again.')
}
async function post(url) {
  const r = await fetch(url, {method:'POST'})
  check(r)
  return r.json()
}
// A question waits in a queue of the server. The answer is a stream of events: places, progress, and at last the answer or an error
async function ask(question, args, progress = () => {}, signal = null) {
  const stopped = () => { throw new Error('The program has stopped. Start it again, then load this page again.') }
  const r = await fetch(`questions/${question}`, {method:'POST', headers:JSON_TYPE, body:JSON.stringify(args), signal}).catch(stopped)
  check(r)
  const reader = r.body.pipeThrough(new TextDecoderStream()).getReader()
  for (let text = '';;) {
    const {value, done} = await reader.read().catch(stopped)
    if (done) stopped()
    const events = (text + value).split('\n\n')
    text = events.pop() // not whole yet
    for (const data of events.filter(o => o.startsWith('data: '))) {
      const event = JSON.parse(data.slice(6))
      if (event.answer) return event.answer
      if (event.error) throw new Error(event.error)
      progress(event)
    }
  }
}
function upload(p, progress) {
  return new Promise((yes, no) => {
    const x = p.request = new XMLHttpRequest()
    x.open('POST', `photos/${visit.visitor}?name=${encodeURIComponent(p.name)}`)
    x.upload.onprogress = e => progress({progress:e.loaded/e.total})
    x.responseType = 'json'
    x.onload = () => x.response?.id ? yes(x.response.id) : no(new Error(x.response?.error ?? `“${p.name}” could not be taken.`))
    x.onabort = no
    x.upload.onload = () => { p.request = null } // what has arrived is taken back when the answer tells its name
    x.onerror = () => no(new Error(`“${p.name}” did not arrive. Is the program still running?`))
    x.send(p.file)
  })
}

// ---- words ----
const say = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text } // what has not changed is not read out again
function tell(text) { $('status').textContent = text }
function complain(text) {
  const p = document.createElement('p'), b = document.createElement('button')
  p.append(text); b.textContent = 'Close'; b.className = 'link'; b.type = 'button'
  b.onclick = () => p.remove()
  p.append(b); $('messages').append(p)
  while ($('messages').children.length > 5) $('messages').firstChild.remove()
}
const size = n => n >= 1e6 ? `${Math.round(n/1e6)} MB` : `${Math.max(1, Math.round(n/1e3))} kB`

// ---- photographs come in ----
async function add(files) {
  await arrived
  if (!visit) return
  $('messages').replaceChildren()
  for (const file of files) {
    if (photos.length >= visit.photos) { complain(`Only ${visit.photos} photographs can be open at once. Please remove one before you add “${file.name}”.`); continue }
    if (is_clip(file)) {
      const why = refusal(file)
      if (why) complain(why)
      else photos.push(new_clip(file))
      continue
    }
    if (file.size > visit.bytes) { complain(`“${file.name}” is too large: ${size(file.size)}, the limit is ${size(visit.bytes)}.`); continue }
    photos.push({kind:'photo', file, name:file.name, state:'waiting', seed:0, saturation:1, strokes:[], drawn:0, seeds:[...Array(FIRST).keys()], images:{}, saved:true})
  }
  if (!now && photos.length) choose(photos[0])
  strip(); work()
}
async function work() { // one photograph after the other, so that nobody fills the queue
  if (running) return
  running = true
  for (let p; p = photos.find(o => o.state === 'waiting');) {
    p.state = 'busy'
    try {
      p.id = await upload(p, o => busy(p, `Fetching the ${p.kind === 'clip' ? 'clip' : 'photograph'}`, o))
      if (!photos.includes(p)) { discard(p); continue } // removed in the last moment
      if (p.kind === 'clip') await look_through(p)
      else {
        Object.assign(p, await ask('read', {photo:p.id}, o => busy(p, 'Looking at the photograph', o)))
        p.file = null; p.state = 'seen'
        if (p === now) show()
        await recolor(p, true)
      }
      p.state = 'ready'
    } catch (e) { if (photos.includes(p)) complain(e.message); forget(p) }
    strip()
    if (p.kind === 'clip') thumbnails(p)
    else if (p === now) samples(p)
  }
  running = false
}
function busy(p, what, {place, progress} = {}) {
  const thing = p.kind === 'clip' ? 'clip' : 'picture'
  p.busy = what && (place > 0 ? `${place === 1 ? `One ${thing} is` : `${place} ${thing}s are`} before yours` : what)
  if (p !== now) return
  if (p.kind === 'clip') return show_progress(p, progress)
  $('stage').classList.toggle('waits', !!p.busy)
  if (p.busy) $('busy').textContent = p.busy
  $('progress').hidden = !(progress > 0 && progress < 1)
  $('progress').value = progress ?? 0
}
const opened = () => now?.clip ?? now // a frame is part of its clip
const discard = p => { if (p.id) fetch(`photos/${p.id}`, {method:'DELETE'}).catch(() => {}) }
function forget(p) {
  const i = photos.indexOf(p)
  if (i < 0) return
  photos.splice(i, 1)
  p.request?.abort(); p.stop?.abort(); discard(p)
  if (p === opened()) { now = null; choose(photos[Math.min(i, photos.length-1)] ?? null) }
  strip()
}

// ---- coloring ----
// While an answer is under way only the newest wish is remembered
function recolor(p, first = false) {
  if (p.painting) { p.again = true; return p.painting }
  return p.painting = (async () => {
    try {
      do {
        p.again = false
        const n = p.strokes.length
        Object.assign(p, await ask(...question(p), o => busy(p, 'Inventing colors', o)))
        if (!p.again) p.drawn = n
        if (p === now) await show(first)
      } while (p.again)
      if (!first) tell('The colors have changed.')
    } finally { p.painting = null; busy(p, '') }
  })()
}
async function change(p, what) {
  Object.assign(p, what); p.saved = false; p.note = ''
  tools()
  try { await recolor(p) } catch (e) { return fail(p, e) }
  if (p.kind === 'frame') corrected(p)
  else if (p === now) { show_uncertainty(p); samples(p) }
}
const wish = p => ({photo:p.id, seed:p.seed, strokes:p.strokes, saturation:p.saturation})
const question = p => p.kind === 'frame' ? ['paint', {photo:p.id, shot:p.shot, strokes:p.strokes}] : ['color', wish(p)]
const fail = (p, e) => { if (photos.includes(p.clip ?? p)) complain(e.message) }
const settings_of = p => JSON.stringify([p.strokes, p.saturation])
async function samples(p) { // one after the other; a change in the meantime is seen before the next one
  thumbs()
  if (p.sampling) return
  p.sampling = true
  for (let seed; p === now && p.state === 'ready' && (seed = p.seeds.find(s => p.images[s]?.settings !== settings_of(p))) !== undefined;) {
    const settings = settings_of(p)
    try { p.images[seed] = {settings, ...await ask('sample', {...wish(p), seed})} } catch (e) { fail(p, e); break }
    if (p === now) thumbs()
  }
  p.sampling = false
  strip()
}
function hide_uncertainty() { $('uncertainty').hidden = $('guide').hidden = true; $('after').classList.remove('uncertain') }
async function show_uncertainty(p) {
  const key = JSON.stringify(p.strokes)
  if (p === now && p.overlay_of !== key) hide_uncertainty()
  if ($('show-uncertainty').checked && p.id && p.overlay_of !== key) {
    tell('Comparing eight colorings.')
    try {
      const {image} = await ask('uncertainty', {photo:p.id, strokes:p.strokes}, o => busy(p, 'Comparing eight colorings', o))
      Object.assign(p, {overlay:image, overlay_of:key})
      tell('Where the color is a guess is shown now.')
    } catch (e) { fail(p, e); $('show-uncertainty').checked = false }
    busy(p, '')
  }
  if (p === now) {
    const on = $('show-uncertainty').checked && !!p.overlay && !!p.image
    $('uncertainty').hidden = $('guide').hidden = !on
    $('after').classList.toggle('uncertain', on)
    if (p.overlay && $('uncertainty').src !== p.overlay) $('uncertainty').src = p.overlay
  }
}

// ---- showing ----
function choose(p) {
  now = p
  document.body.classList.toggle('empty', !p)
  document.body.dataset.kind = p?.kind ?? ''
  $('video').pause()
  $('welcome').hidden = !!p; $('work').hidden = !p; $('add').hidden = !p
  if (!p) { paint_with(null); $('files').focus(); return }
  if (p.kind === 'clip') { paint_with(null); show_clip(p); strip(); return }
  show(); strip()
  if (p.kind === 'photo') { samples(p); show_uncertainty(p) } else hide_uncertainty()
}
async function show(first = false) {
  const p = now
  const set = async (img, src) => { if (src && img.src !== src) { img.src = src; await img.decode().catch(() => {}) } }
  $('name').textContent = p.name
  $('facts').textContent = p.width ? `${p.width} × ${p.height}` + (p.remarks.length ? ` · ${p.remarks.join(' · ')}` : '') : ''
  $('kind').textContent = p.format ? `${p.format}, ${p.bits} bits, ${p.width} × ${p.height}` : ''
  $('saturation').value = p.saturation*100
  $('stage').style.setProperty('--ratio', p.width ? p.width/p.height : 1.5)
  $('row').style.setProperty('--ratio', Math.max(.8, Math.min(2, p.width ? p.width/p.height : 1.5)))
  $('before').hidden = !p.before
  await set($('before'), p.before)
  await set($('after'), p.image)
  if (p !== now) return
  for (const id of ['after', 'split', 'handle', 'tag']) $(id).hidden = !p.image
  $('panel').classList.toggle('waiting', !p.image); $('panel').inert = !p.image
  tools()
  $('all').hidden = photos.filter(o => o.kind === 'photo').length < 2
  busy(p, p.busy)
  draw()
  if (first && p.image) reveal()
}
function split(percent) {
  $('split').value = percent
  $('frame').style.setProperty('--split', `${percent}%`)
}
function reveal() {
  tell('The colors are ready. They are invented.')
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return split(50)
  const start = performance.now()
  const step = t => {
    const u = Math.min(1, Math.max(0, (t-start)/1100))
    split(100-50*(1-(1-u)**3))
    if (u < 1 && !dragging) requestAnimationFrame(step)
  }
  split(100); requestAnimationFrame(step)
}
function strip() {
  const had = $('strip').contains(document.activeElement)
  $('strip').hidden = photos.length < 2
  $('strip').replaceChildren(...photos.map(p => {
    const b = document.createElement('button')
    b.type = 'button'; b.title = p.name; b.setAttribute('aria-label', p.name + (p.image ? '' : ', waiting'))
    b.setAttribute('aria-current', p === opened())
    if (p.image || p.before) { const i = new Image(); i.src = p.images[p.seed]?.image ?? p.image ?? p.before; i.alt = ''; b.append(i) }
    else { const s = document.createElement('span'); s.textContent = p.name; b.append(s) }
    b.className = p.image ? '' : 'waiting'
    b.onclick = () => choose(p)
    return b
  }))
  if (had) $('strip').querySelector('[aria-current=true]')?.focus()
}
function radio(group, value, label, checked, content) {
  const l = document.createElement('label'), i = document.createElement('input')
  i.type = 'radio'; i.name = group; i.value = value; i.checked = checked; i.setAttribute('aria-label', label); l.title = label
  l.append(i, ...(content ? [content] : []))
  return l
}
function thumbs() {
  const p = now, box = $('samples'), had = box.contains(document.activeElement)
  if (box.photo !== p || box.children.length !== p.seeds.length) {
    box.photo = p
    box.replaceChildren(...p.seeds.map((seed, i) => {
      const img = new Image(), l = radio('seed', seed, `Coloring ${i+1}`, false, img)
      img.alt = ''; l.firstChild.className = 'unseen'
      l.firstChild.onchange = () => change(p, {seed})
      return l
    }))
  }
  p.seeds.forEach((seed, i) => {
    const [input, img] = box.children[i].children, {image, settings} = p.images[seed] ?? {}
    input.checked = seed === p.seed
    img.hidden = !image
    if (image && img.src !== image) img.src = image
    img.classList.toggle('old', settings !== settings_of(p))
  })
  if (had && !box.contains(document.activeElement)) box.querySelector(':checked').focus()
}

// ---- comparing ----
let dragging = false
const place = e => { const b = $('frame').getBoundingClientRect(); return [(e.clientX-b.left)/b.width, (e.clientY-b.top)/b.height] }
const drag = e => split(Math.min(100, Math.max(0, place(e)[0]*100)))
$('frame').onpointerdown = e => { if (!brush && now?.image && e.isPrimary && e.button === 0) { dragging = true; $('frame').setPointerCapture(e.pointerId); drag(e) } }
$('frame').onpointermove = e => { if (dragging) drag(e) }
$('frame').onpointerup = $('frame').onpointercancel = () => { dragging = false }
$('split').oninput = () => split($('split').value)

// ---- painting ----
let stroke = null, at = null
const canvas = $('canvas'), pen = canvas.getContext('2d')
let brush_name = ''
function paint_with(c, name = '') {
  brush = c; brush_name = name; stroke = null
  $('frame').classList.toggle('painting', !!c); canvas.hidden = !c; $('split').disabled = !!c
  if (c) { $('show-uncertainty').checked = false; hide_uncertainty() } // under the overlay no color could be seen
  else for (const o of $('palette').querySelectorAll(':checked')) o.checked = false
  tools(); draw()
  if (c) $('tools').scrollIntoView({block:'nearest'})
}
function tools() {
  const n = now?.strokes.length
  $('tools').hidden = !brush && !n
  $('sizes').hidden = $('done').hidden = !brush
  $('undo').disabled = $('clear').disabled = !n
  say('saved', now?.note ?? '')
  const frame = now?.kind === 'frame'
  say('how', !brush ? `Choose a color, then paint with it on the ${frame ? 'frame: its whole shot follows' : 'photograph'}.`
    : n && now.clipped ? 'White and black cannot take a color, because the light of your photograph stays as it is. Try a place between.'
    : `${brush_name}: paint on the ${frame ? 'frame' : 'photograph'}. A short stroke is enough.`)
}
function draw() {
  if (!brush) return
  const {width:w, height:h} = $('frame').getBoundingClientRect(), k = devicePixelRatio, short = Math.min(w, h)
  if (canvas.width !== Math.round(w*k) || canvas.height !== Math.round(h*k)) { canvas.width = Math.round(w*k); canvas.height = Math.round(h*k) }
  pen.setTransform(k, 0, 0, k, 0, 0); pen.clearRect(0, 0, w, h)
  pen.lineCap = pen.lineJoin = 'round'
  for (const s of [...now.strokes.slice(now.drawn), ...(stroke ? [stroke] : EMPTY)]) {
    pen.strokeStyle = s.color; pen.lineWidth = 2*s.radius*short
    pen.beginPath(); s.points.forEach(([x, y], i) => i ? pen.lineTo(x*w, y*h) : pen.moveTo(x*w, y*h)); pen.lineTo(...s.points.at(-1).map((v, i) => v*[w, h][i]+.01)); pen.stroke()
  }
  if (at) {
    pen.beginPath(); pen.arc(at[0]*w, at[1]*h, Math.max(3, radius*short), 0, 7)
    pen.lineWidth = 4; pen.strokeStyle = '#fff'; pen.stroke(); pen.lineWidth = 2; pen.strokeStyle = '#000'; pen.stroke()
    pen.globalAlpha = .6; pen.fillStyle = brush; pen.fill(); pen.globalAlpha = 1
  }
}
function put() {
  if (!stroke) return
  const strokes = [...now.strokes, stroke]
  stroke = null
  change(now, {strokes})
}
canvas.onpointerdown = e => {
  if (!e.isPrimary || e.button !== 0 || !now?.id) return
  e.stopPropagation(); canvas.setPointerCapture(e.pointerId)
  at = place(e); stroke = {color:brush, radius, points:[at]}; draw()
}
canvas.onpointermove = e => {
  at = place(e)
  if (stroke && Math.hypot(...stroke.points.at(-1).map((v, i) => v-at[i])) > .004 && stroke.points.length < 2000) stroke.points.push(at.map(v => Math.min(1.5, Math.max(-.5, v))))
  draw()
}
canvas.onpointerup = canvas.onpointercancel = put
canvas.onpointerleave = () => { if (!stroke) { at = null; draw() } }
canvas.onfocus = () => { if (canvas.matches(':focus-visible')) { at ??= [.5, .5]; draw() } }
canvas.onkeydown = e => {
  const by = {ArrowLeft:[-1, 0], ArrowRight:[1, 0], ArrowUp:[0, -1], ArrowDown:[0, 1]}[e.key]
  if (by) { at = (at ?? [.5, .5]).map((v, i) => Math.min(1, Math.max(0, v+by[i]*(e.shiftKey ? .005 : .02)))); draw() }
  else if (e.key === ' ' || e.key === 'Enter') { stroke = {color:brush, radius, points:[at ?? [.5, .5]]}; put() }
  else return
  e.preventDefault()
}
const chosen = () => $('palette').querySelector(':checked') ?? $('palette').lastChild.firstChild
const undo = () => { if (now?.strokes.length && now.kind !== 'clip') { now.drawn = Math.min(now.drawn, now.strokes.length-1); change(now, {strokes:now.strokes.slice(0, -1)}) } }
function done() { chosen().focus(); paint_with(null) }
addEventListener('keydown', e => {
  if (e.key === 'Escape' && brush) done()
  else if (e.key === 'z' && (e.ctrlKey || e.metaKey) && !e.shiftKey) { e.preventDefault(); undo() }
})
addEventListener('resize', draw)

// ---- the rest of the controls ----
for (const [name, c] of Object.entries(COLORS)) {
  const l = radio('brush', c, name, false)
  l.className = 'swatch'; l.style.background = c
  $('palette').append(l)
}
{
  const l = document.createElement('label'), i = document.createElement('input')
  i.type = 'color'; i.value = '#7a5c8e'; i.setAttribute('aria-label', 'Any other color'); l.title = 'Any other color'
  i.oninput = () => { for (const o of $('palette').querySelectorAll(':checked')) o.checked = false; paint_with(i.value, 'Your own color') }
  l.className = 'swatch any'; l.append(i); $('palette').append(l)
}
$('palette').onchange = e => { if (e.target.type === 'radio') paint_with(e.target.value, e.target.ariaLabel) }
$('palette').onkeydown = e => { if (e.key === 'Enter' && brush) { e.preventDefault(); canvas.focus() } }
for (const [name, r] of Object.entries(SIZES)) {
  const l = radio('size', r, `${name} brush`, r === radius)
  l.style.setProperty('--dot', `${Math.max(5, r*420)}px`)
  l.firstChild.onchange = () => { radius = r }
  $('sizes').append(l)
}
$('undo').onclick = undo
$('clear').onclick = () => { now.drawn = 0; change(now, {strokes:[]}) }
$('done').onclick = done
$('saturation').oninput = () => change(now, {saturation:$('saturation').value/100})
$('show-uncertainty').onchange = () => show_uncertainty(now)
$('more').onclick = () => { now.seeds.push(...Array.from({length:MORE}, (_, i) => now.seeds.length+i)); samples(now) }
$('remove').onclick = () => forget(now)
$('files').onchange = () => { add([...$('files').files]); $('files').value = '' }
$('add').onclick = () => $('files').click()

async function save(p) {
  try {
    if (p.painting) await p.painting
    const r = await ask('save', wish(p), o => busy(p, 'Writing the file', o))
    const a = document.createElement('a')
    a.href = r.url; a.download = r.name; a.click()
    p.saved = true; p.note = [`Saved as ${r.name}, ${r.size}.`, ...r.remarks].join(' ')
    tools()
  } catch (e) { fail(p, e) }
  busy(p, '')
}
async function saving(list) {
  $('save').disabled = $('all').disabled = true
  for (const p of list) await save(p)
  $('save').disabled = $('all').disabled = false
}
$('save').onclick = () => saving([now])
$('all').onclick = () => saving(photos.filter(p => p.kind === 'photo' && p.image))

// ---- dropping files anywhere ----
let over = 0
const carries = e => [...(e.dataTransfer?.types ?? EMPTY)].includes('Files')
function hover(n) { over = Math.max(0, n); document.body.classList.toggle('over', over > 0); $('over').hidden = !over || !now }
addEventListener('dragenter', e => { if (carries(e)) { e.preventDefault(); hover(over+1) } })
addEventListener('dragleave', e => { if (carries(e)) hover(over-1) })
addEventListener('dragover', e => { if (carries(e)) e.preventDefault() })
addEventListener('drop', e => { if (carries(e)) { e.preventDefault(); hover(0); add([...e.dataTransfer.files]) } })

// ---- coming and going ----
async function arrive() {
  try { visit = await post('visits') } catch { return complain('The program does not answer. Is it still running?') }
  $('terms').textContent = `${visit.photos} photographs at most, ${visit.megapixels} megapixels each: JPEG, PNG, TIFF, WebP, HEIC and others. `
    + clip_terms() + (visit.local ? 'They do not leave this computer.' : 'They are deleted when you leave this page.')
  document.body.dataset.ready = 'yes'
}
setInterval(async () => {
  if (!visit) return
  const {here} = await post(`visits/${visit.visitor}`).catch(() => ({here:true}))
  if (here) return
  for (const p of [...photos]) { p.id = null; forget(p) }
  await arrive()
  complain('This page was left alone for so long that its photographs were deleted. Please drop them again.')
}, 60000)
addEventListener('pagehide', e => { if (visit && !e.persisted) navigator.sendBeacon(`visits/${visit.visitor}/leave`) })
addEventListener('beforeunload', e => { if (photos.some(p => p.strokes.length && !p.saved)) e.preventDefault() })
paint_with(null)
const arrived = new Promise(yes => addEventListener('DOMContentLoaded', yes)).then(arrive) // when film.js is there, too
