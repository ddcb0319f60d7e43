'use strict'
// The page of `colorized app`: the part `app` of the book tells why it is as it is. No library, no request to anywhere but its own server.
const $ = id => document.getElementById(id)
const FIRST = 5, MORE = 6, EMPTY = [], JSON_TYPE = {'Content-Type':'application/json'}
let visit, photos = [], now = null, running = false

// ---- talking to the server ----
async function check(r) {
  if (r.ok) return
  const {error} = await r.json().catch(() => EMPTY)
  const full = r.status === 503, why = full ? 'Too many people are waiting. Please try again in a moment.' : 'The program does not answer as it should. Please load the page again.'
  throw Object.assign(new Error(error ?? why), {full})
}
async function post(url) {
  const r = await fetch(url, {method:'POST'}).catch(() => { throw new Error('The program does not answer. Is it still running?') })
  await check(r)
  return r.json()
}
const gone = {} // photograph -> its AbortController: what is asked about it ends when it is removed
const until_gone = photo => (gone[photo] ??= new AbortController()).signal
// A question waits in a queue of the server. The answer is a stream of events: places, progress, and at last the answer or an error
async function ask(question, args, progress = () => {}, signal = until_gone(args.photo)) {
  const stopped = () => { throw new Error('The program has stopped. Start it again, then load this page again.') }
  const r = await fetch(`questions/${question}`, {method:'POST', headers:JSON_TYPE, body:JSON.stringify(args), signal}).catch(stopped)
  await check(r)
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
    x.open('POST', `photos/${visit.visitor}?name=${encodeURIComponent(p.name.toWellFormed?.() ?? p.name)}`)
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
  const box = $('messages')
  if ([...box.children].some(o => o.firstChild.data === text)) return // it stands there already
  const p = document.createElement('p'), b = document.createElement('button')
  p.append(text); b.textContent = 'Close'; b.className = 'link'; b.type = 'button'
  b.onclick = () => {
    const next = (p.nextSibling ?? p.previousSibling)?.lastChild ?? $(now ? 'add' : 'files')
    p.remove(); next.focus()
  }
  p.append(b); box.append(p)
  box.scrollTop = box.scrollHeight
}
const plural = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`
const size = n => n >= 1e6 ? `${Math.round(n/1e6)} MB` : `${Math.max(1, Math.round(n/1e3))} kB`

// ---- photographs come in ----
async function add(files) {
  await arrived
  $('messages').replaceChildren()
  await renew()
  if (!visit) return
  const left = []
  for (const file of files) {
    if (photos.length >= visit.photos) { left.push(file.name); continue }
    if (is_clip(file)) {
      const why = refusal(file)
      if (why) complain(why)
      else photos.push(new_clip(file))
      continue
    }
    if (file.size > visit.bytes) { complain(`“${file.name}” is too large: ${size(file.size)}, the limit is ${size(visit.bytes)}.`); continue }
    photos.push({kind:'photo', file, name:file.name, state:'waiting', seed:0, saturation:1, strokes:[], drawn:0, seeds:[...Array(FIRST).keys()], images:{}, saved:true})
  }
  if (left.length === 1) complain(`Only ${plural(visit.photos, 'photograph')} can be open at once. Please remove one before you add “${left[0]}”.`)
  else if (left.length) complain(`${left.length} of ${files.length} were not taken: only ${plural(visit.photos, 'photograph')} can be open at once.`)
  if (!now && photos.length) {
    choose(photos[0])
    if ([$('files'), document.body].includes(document.activeElement)) $('add').focus() // where the files were is hidden now
  }
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
        Object.assign(p, await patiently(p, () => ask('read', {photo:p.id}, o => busy(p, 'Looking at the photograph', o))))
        p.file = null; p.state = 'seen'
        if (p === now) show()
        await patiently(p, () => recolor(p, true))
      }
      p.state = 'ready'
    } catch (e) { if (photos.includes(p)) complain(e.message); forget(p) }
    strip()
    if (p.kind === 'clip') thumbnails(p)
    else if (p === now) { samples(p); show_uncertainty(p) }
  }
  running = false
}
async function patiently(p, question) { // what has arrived is not given up where a queue is full
  for (;;) {
    try { return await question() } catch (e) { if (!e.full || !photos.includes(p)) throw e }
    busy(p, 'Many people are waiting')
    await new Promise(yes => setTimeout(yes, 5000))
  }
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
function discard(p) {
  if (!p.id) return
  gone[p.id]?.abort() // before the server forgets it and calls the question wrong
  delete gone[p.id]
  fetch(`photos/${p.id}`, {method:'DELETE'}).catch(() => {})
}
function forget(p) {
  const i = photos.indexOf(p), button = document.activeElement.id
  if (i < 0) return
  photos.splice(i, 1)
  p.request?.abort(); p.stop?.abort(); discard(p)
  if (p === opened()) { now = null; choose(photos[Math.min(i, photos.length-1)] ?? null) }
  strip()
  if (!['remove', 'clip-remove'].includes(button)) return
  tell(`“${p.name}” was removed.`) // and nothing more of what it was doing
  if (now) $(now.kind === 'clip' ? 'clip-remove' : 'remove').focus()
}

// ---- coloring ----
// While an answer is under way only the newest wish is remembered
function recolor(p, first = false) {
  if (p.painting) { p.again = true; return p.painting }
  return p.painting = (async () => {
    try {
      do {
        p.again = false
        const n = p.strokes.length, {seed, saturation} = p
        try { Object.assign(p, await ask(...question(p), o => busy(p, 'Inventing colors', o)), {shown:{seed, saturation}}) }
        catch (e) {
          if (p.again) continue // a newer wish may be granted
          Object.assign(p, p.shown)
          throw e
        }
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
  try { await recolor(p) }
  catch (e) {
    fail(p, e)
    if (p === now && p.kind === 'photo') { show(); samples(p) }
    return
  }
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
    if (p.comparing === key) return
    p.comparing = key
    tell('Comparing eight colorings.')
    try {
      const {image} = await ask('uncertainty', {photo:p.id, strokes:p.strokes}, o => busy(p, 'Comparing eight colorings', o))
      Object.assign(p, {overlay:image, overlay_of:key})
      tell('Where the color is a guess is shown now.')
    } catch (e) { fail(p, e); if (p === now) $('show-uncertainty').checked = false }
    if (p.comparing === key) p.comparing = null
    busy(p, '')
  }
  if (p === now) {
    const on = $('show-uncertainty').checked && p.overlay_of === JSON.stringify(p.strokes) && !!p.image
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
  canvas.hidden = !brush || !p.before // nobody paints on what cannot be seen
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
  const box = $('strip'), had = box.contains(document.activeElement)
  box.hidden = photos.length < 2
  for (const p of photos) {
    const b = p.button ??= strip_button(p), [i, s] = b.children, src = p.images[p.seed]?.image ?? p.image ?? p.before
    b.title = s.textContent = p.name; b.setAttribute('aria-label', p.name + (p.image ? '' : ', waiting'))
    b.setAttribute('aria-current', p === opened())
    b.className = p.image ? '' : 'waiting'
    i.hidden = !src; s.hidden = !!src
    if (src && i.src !== src) i.src = src
  }
  const buttons = photos.map(p => p.button)
  for (const b of [...box.children]) if (!buttons.includes(b)) b.remove()
  box.append(...buttons.slice(box.children.length)) // the others stay: a finger or the focus may be on one
  if (had && !box.contains(document.activeElement)) box.querySelector('[aria-current=true]')?.focus()
}
function strip_button(p) {
  const b = document.createElement('button'), img = new Image()
  b.type = 'button'; img.alt = ''
  b.append(img, document.createElement('span'))
  b.onclick = () => choose(p)
  return b
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

// ---- the rest of the controls ----
$('saturation').oninput = () => change(now, {saturation:$('saturation').value/100})
$('show-uncertainty').onchange = () => show_uncertainty(now)
$('more').onclick = () => { now.seeds.push(...Array.from({length:MORE}, (_, i) => now.seeds.length+i)); samples(now) }
$('remove').onclick = () => forget(now)
$('files').onchange = () => { add([...$('files').files]); $('files').value = '' }
$('add').onclick = () => $('files').click()

async function save(p) {
  try {
    if (p.painting) await p.painting
    const asked = JSON.stringify(wish(p)), r = await ask('save', wish(p), o => busy(p, 'Writing the file', o))
    const a = document.createElement('a')
    a.href = r.url; a.download = r.name; a.click()
    if (asked === JSON.stringify(wish(p))) { p.saved = true; p.note = [`Saved as ${r.name}, ${r.size}.`, ...r.remarks].join(' ') }
    tools()
  } catch (e) { fail(p, e) }
  busy(p, '')
}
let saves = false
async function saving(list) {
  if (saves) return
  const mark = () => { for (const id of ['save', 'all']) $(id).setAttribute('aria-disabled', saves) } // `disabled` would drop the focus
  saves = true; mark()
  for (const p of list) await save(p)
  saves = false; mark()
}
$('save').onclick = () => saving([now])
$('all').onclick = () => {
  const all = photos.filter(p => p.kind === 'photo'), ready = all.filter(p => p.image), left = all.length-ready.length
  if (left && !saves) complain(`${left} of ${all.length} photographs ${left === 1 ? 'is' : 'are'} not ready yet and not among those downloaded now.`)
  saving(ready)
}

// ---- dropping files anywhere ----
let away = 0
const carries = e => [...(e.dataTransfer?.types ?? EMPTY)].includes('Files')
function hover(over) {
  clearTimeout(away)
  if (over) away = setTimeout(hover, 800, false) // browsers say `dragover` twice a second at least, but not always that it has ended
  document.body.classList.toggle('over', over); $('over').hidden = !over || !now
}
for (const kind of ['dragenter', 'dragover']) addEventListener(kind, e => { if (carries(e)) { e.preventDefault(); hover(true) } })
addEventListener('drop', async e => {
  if (!carries(e)) return
  e.preventDefault(); hover(false)
  const items = [...e.dataTransfer.items].filter(o => o.kind === 'file'), folders = items.map(o => o.webkitGetAsEntry()).filter(o => o?.isDirectory)
  await add(items.filter(o => !o.webkitGetAsEntry()?.isDirectory).map(o => o.getAsFile()))
  for (const o of folders) complain(`“${o.name}” is a folder. Please open it and drop the photographs that are in it.`)
})

// ---- coming and going ----
async function arrive() {
  try { visit = await post('visits') } catch (e) { return complain(e.message) }
  $('terms').textContent = `${plural(visit.photos, 'photograph')} at most, ${plural(visit.megapixels, 'megapixel')} each: JPEG, PNG, TIFF, WebP, HEIC and others. `
    + clip_terms() + (visit.local ? 'They do not leave this computer.' : 'They are deleted when you leave this page.')
  document.body.dataset.ready = 'yes'
}
async function renew() { // a sign of life
  if (!visit) return arrive()
  const {here} = await post(`visits/${visit.visitor}`).catch(() => ({here:true}))
  if (here) return
  const lost = photos.length
  for (const p of [...photos]) { p.id = null; forget(p) }
  visit = null
  await arrive()
  if (lost) complain('The program was started again, or this page was left, or left alone for too long: its photographs were deleted. Please drop them again.')
}
setInterval(() => { if (visit) renew() }, 60000)
addEventListener('pagehide', () => { // also if the browser keeps the page for the way back: nobody may ever come
  // `sendBeacon` was lost in Firefox when a tab was closed, in about half the cases
  if (visit) fetch(`visits/${visit.visitor}/leave`, {method:'POST', keepalive:true})
})
addEventListener('pageshow', e => { if (e.persisted && visit) renew() })
addEventListener('beforeunload', e => { if (saves || photos.some(p => p.stop || !p.saved && (p.strokes.length || p.files))) e.preventDefault() })
const arrived = new Promise(yes => addEventListener('DOMContentLoaded', yes)).then(arrive) // when brush.js and film.js are there, too
