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
  $('doing').hidden = share === null
  if (share === null) return
  $('what').textContent = doing
  $('progress').value = share
}
const studio = new Studio(tell)

// ---- a photograph comes ----
async function open(file) {
  studio.cancel()
  complain('')
  const mine = now = {name: file.name, seed: 0, strokes: [], strength: 1}
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
  $('work').inert = true
  put($('before'), info.before)
  put($('after'), info.before)
  split(50)
  $('strength').value = 100
  paint(null)
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
        const {after, chroma} = await studio.ask('color', wish(photo))
        if (photo !== now) return
        photo.chroma = chroma
        put($('after'), after)
        $('work').inert = false
        brush.await([])
      } while (photo.again)
    } finally {
      photo.coloring = null
      document.body.dataset.colored = String(+(document.body.dataset.colored ?? 0)+1)
    }
  })()
}

async function change(what) {
  const mine = now, before = wish(mine)
  complain('')
  Object.assign(mine, what)
  tools()
  try {
    await recolor(mine)
    status('The colors have changed.')
  } catch (e) {
    if (e instanceof Canceled) Object.assign(mine, before)
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
  $('undo').disabled = !now?.strokes.length
  $('done').disabled = !brush.color
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
  const {xmp, notes} = mergeXmp(info.xmp, said, manifest.namespaces)
  const format = choice === 'JPEG' ? 'JPEG' : 'PNG'
  const bareXmp = mergeXmp(null, said, manifest.namespaces).xmp
  const made = await studio.ask('save', {...wish(mine), format, bits, xmp, bareXmp})
  const stem = mine.name.replace(/\.\w+$/, ''), link = document.createElement('a')
  link.href = URL.createObjectURL(made.blob)
  link.download = `${stem}.colorized.${format === 'JPEG' ? 'jpg' : 'png'}`
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60000)
  status([`Saved as ${link.download}.`, ...notes, ...made.notes].join(' '))
}

async function saving() {
  $('save').disabled = true
  complain('')
  const mine = now
  try {
    await save()
  } catch (e) {
    fail(mine, e)
  }
  $('save').disabled = false
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
$('done').onclick = () => paint(null)
addEventListener('keydown', e => e.key === 'Escape' && paint(null))
$('save').onclick = saving
$('cancel').onclick = () => studio.cancel()

if (!await isolate()) {
  studio.start()
  keepOffline(text => { $('offline').textContent = text })
  listen(open)
  await offer(open, complain)
  document.body.dataset.ready = 'yes'
}
