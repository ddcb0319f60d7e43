// The page: what the visitor sees and does. All that takes time is in worker.js.

import {listen, offer} from './arrive.js'
import {isolate, keepOffline} from './offline.js'
import {Brush, COLORS} from './paint.js'
import {Canceled, Studio} from './studio.js'
import {isGenerated, mergeXmp, properties} from './xmp.js'

const $ = id => document.getElementById(id)
const SEEDS = [0, 1, 2, 3], QUALITY = 95
let now = null // the photograph: {name, info, seed, strokes, strength}

// ---- words ----
const status = text => { $('status').textContent = text }
function complain(text) {
  $('message').textContent = text
  $('message').hidden = !text
}
function tell(doing, share) {
  const lost = share === null && document.activeElement === $('cancel')
  $('doing').hidden = share === null
  if (lost) setTimeout(() => // when the controls show what holds
    (now?.chroma ? $('samples').querySelector(':checked') : $('file')).focus())
  if (share === null) return
  $('what').textContent = doing
  $('progress').value = share
}
const studio = new Studio(tell, complain)

// ---- a photograph comes ----
async function open(file) {
  studio.cancel()
  complain('')
  const mine = now = {name: file.name, seed: 0, strokes: [], strength: 1}
  $('work').inert = true // it shows the one before
  paint(null)
  try {
    mine.info = await studio.ask('open', {file})
    if (now !== mine) return
    present(mine)
    await recolor(mine)
    status('The colors are ready. They are invented.')
  } catch (e) {
    fail(mine, e)
  }
}

function fail(photo, e) {
  if (photo !== now) return
  if (!photo.chroma) now = null // nothing was colored, so there is nothing to go on with
  if (!(e instanceof Canceled)) complain(`“${photo.name}”: ${e.message}`)
  else status('Canceled.')
  if (!now) close()
}

function close() {
  $('work').hidden = true
  document.body.classList.remove('open')
}

function present({info, name}) {
  document.body.classList.add('open')
  $('work').hidden = false
  put($('before'), info.before)
  put($('after'), info.before)
  split(50)
  $('strength').value = 100
  $('samples').querySelector('input').checked = true
  $('format').value = info.bits === 16 ? 'PNG16' : info.format === 'PNG' ? 'PNG' : 'JPEG'
  const notes = [...info.notes]
  if (isGenerated(info.xmp)) notes.push('was colored by a program; those colors are replaced')
  $('facts').textContent =
    [`${name}: ${info.width} × ${info.height}, ${info.bits} bits`, ...notes].join(' · ')
}

function put(canvas, {data, width, height}) {
  Object.assign(canvas, {width, height})
  canvas.getContext('2d').putImageData(new ImageData(data, width, height), 0, 0)
}

// ---- coloring ----
// While one is under way only the newest wish is remembered
const wish = ({seed, strokes, strength}) => ({seed, strokes, strength})
async function recolor(photo) {
  if (photo.coloring) {
    photo.again = true
    return photo.coloring
  }
  return photo.coloring = (async () => {
    try {
      do {
        photo.again = false
        const asked = wish(photo), {after, chroma} = await studio.ask('color', asked)
        if (photo !== now) return
        Object.assign(photo, {chroma, shown: asked})
        put($('after'), after)
        $('work').inert = false
        brush.await([])
      } while (photo.again)
    } catch (e) {
      Object.assign(photo, photo.shown)
      throw e
    } finally {
      photo.coloring = null
      document.body.dataset.colored = String(+(document.body.dataset.colored ?? 0)+1)
    }
  })()
}

async function change(what) {
  const mine = now
  complain('')
  Object.assign(mine, what)
  tools()
  try {
    await recolor(mine)
    status('The colors have changed.')
  } catch (e) {
    if (mine === now) controls()
    fail(mine, e)
  }
}

function controls() { // show what holds, after a wish was taken back
  for (const o of $('samples').querySelectorAll('input')) o.checked = +o.value === now.seed
  $('strength').value = 100*now.strength
  brush.await([])
  tools()
}

function split(percent) {
  $('split').value = percent
  $('frame').style.setProperty('--at', `${percent}%`)
  $('split').setAttribute('aria-valuetext',
    `left ${percent} % original, the rest in invented color`)
}

// ---- painting ----
const brush = new Brush($('paint'), stroke => {
  const strokes = [...now.strokes, stroke]
  brush.await([stroke])
  change({strokes})
})

function paint(color) {
  $('frame').classList.toggle('painting', !!color)
  brush.take(color)
  if (!color) for (const o of $('palette').querySelectorAll(':checked')) o.checked = false
  tools()
}
function tools() {
  const n = now?.strokes.length, undone = !n && document.activeElement === $('undo')
  $('undo').disabled = !n
  $('done').disabled = !brush.color
  if (undone) chosen().focus()
}
const chosen = () => $('palette').querySelector(':checked') ?? $('palette').querySelector('input')
function done() { // a focus on what is hidden or disabled would be lost
  chosen().focus()
  paint(null)
}

// ---- saving ----
const where = strokes => strokes.map(({color, points: [[x, y]]}) =>
  `${color} at ${x.toFixed(3)},${y.toFixed(3)}`).join('; ')

async function save() {
  const mine = now, {manifest} = await studio.ask('load'), {info, strokes, strength, seed} = mine
  const choice = $('format').value, bits = choice === 'PNG16' ? 16 : 8
  const settings = {...manifest.provenance.settings, saturation: strength, bits, quality: QUALITY,
    hints: strokes.length ? where(strokes) : false, source_sha256: info.sha256,
    runtime: `${manifest.runtime} in a browser`}
  const said = properties(manifest, seed, manifest.sampling.steps, settings)
  const {xmp, notes} = mergeXmp(info.xmp, said, manifest, info)
  const format = choice === 'JPEG' ? 'JPEG' : 'PNG'
  const bareXmp = mergeXmp(null, said, manifest, {rights: info.rights}).xmp
  const made = await studio.ask('save', {...wish(mine), format, bits, xmp, bareXmp})
  const stem = mine.name.replace(/\.\w+$/, ''), link = document.createElement('a')
  link.href = URL.createObjectURL(made.blob)
  link.download = `${stem}.colorized.${format === 'JPEG' ? 'jpg' : 'png'}`
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60000)
  status(`Saved as ${link.download}.`)
  const left = [...notes, ...made.notes]
  if (left.length) complain(`“${link.download}”: ${left.join('; ')}`)
}

let isSaving = false
async function saving() {
  if (isSaving) return
  const mark = on => {
    isSaving = on
    $('save').setAttribute('aria-disabled', on) // `disabled` would drop the focus
  }
  mark(true)
  complain('')
  const mine = now
  try {
    await save()
  } catch (e) {
    fail(mine, e)
  }
  mark(false)
}

// ---- controls ----
function radio(group, value, label) {
  const l = document.createElement('label'), i = document.createElement('input')
  Object.assign(i, {type: 'radio', name: group, value})
  i.setAttribute('aria-label', label)
  l.title = label
  l.append(i)
  return l
}
for (const seed of SEEDS) {
  const l = radio('seed', seed, `Coloring ${seed+1}`)
  l.append(` ${seed+1}`)
  $('samples').lastElementChild.append(l)
}
for (const [name, color] of Object.entries(COLORS)) {
  const l = radio('brush', color, name)
  l.style.background = color
  $('palette').querySelector('div').append(l)
}
$('samples').onchange = e => change({seed: +e.target.value})
$('palette').onchange = e => paint(e.target.value)
$('palette').onkeydown = e => {
  if (e.key !== 'Enter' || !brush.color || e.target.type !== 'radio') return
  e.preventDefault()
  $('paint').focus()
}
$('strength').onchange = () => change({strength: $('strength').value/100})
$('split').oninput = () => split($('split').value)
$('undo').onclick = () => change({strokes: now.strokes.slice(0, -1)})
$('done').onclick = done
addEventListener('keydown', e => e.key === 'Escape' && brush.color && done())
$('save').onclick = saving
$('cancel').onclick = () => studio.cancel()

if (!await isolate()) {
  studio.start()
  keepOffline(text => { $('offline').textContent = text })
  listen(open)
  await offer(open, complain)
  document.body.dataset.ready = 'yes'
}
