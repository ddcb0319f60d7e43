'use strict'
// The brush: its colors and sizes, strokes by pointer or by keyboard.
const COLORS = {'Light skin':'#dfb497', 'Dark skin':'#8a5a3c', 'Blond':'#c8a55f', 'Brown':'#5f3f28', 'Red':'#9c2f2c', 'Brick':'#a4664c', 'Straw':'#d8bd7a', 'Leaf green':'#5d7a3e',
  'Bottle green':'#2f5a47', 'Sky blue':'#8db4d4', 'Navy blue':'#2c406c', 'Violet':'#6d4f80', 'Rose':'#d693a0', 'Wood':'#8d6740', 'No color, gray':'#808080'}
const SIZES = {Fine:0.012, Middle:0.025, Broad:0.06}
const OWN = 'Your own color', own = document.createElement('label')
let brush = null, radius = SIZES.Middle

// ---- painting ----
let stroke = null, at = null
const canvas = $('canvas'), pen = canvas.getContext('2d')
let brush_name = ''
function paint_with(c, name = '') {
  brush = c; brush_name = name; stroke = null
  own.classList.toggle('chosen', !!c && name === OWN)
  $('frame').classList.toggle('painting', !!c); canvas.hidden = !c || !now?.before; $('split').disabled = !!c
  if (c) { $('show-uncertainty').checked = false; hide_uncertainty() } // under the overlay no color could be seen
  else for (const o of $('palette').querySelectorAll(':checked')) o.checked = false
  tools(); draw()
  if (c) $('tools').scrollIntoView({block:'nearest'})
}
function tools() {
  const n = now?.strokes.length, undone = !n && [$('undo'), $('clear')].includes(document.activeElement)
  $('tools').hidden = !brush && !n
  $('sizes').hidden = $('done').hidden = !brush
  $('undo').disabled = $('clear').disabled = !n
  say('saved', now?.note ?? '')
  const frame = now?.kind === 'frame'
  say('how', !brush ? `Choose a color, then paint with it on the ${frame ? 'frame: its whole shot follows' : 'photograph'}.`
    : n && now.clipped ? 'White and black cannot take a color, because the light of your photograph stays as it is. Try a place between.'
    : `${brush_name}: paint on the ${frame ? 'frame' : 'photograph'}. A short stroke is enough.`)
  if (undone) chosen().focus()
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
  if (!e.isPrimary) { stroke = null; draw(); return } // two fingers do not paint
  if (e.button !== 0 || !now?.before) return
  e.stopPropagation(); canvas.setPointerCapture(e.pointerId)
  at = place(e); stroke = {color:brush, radius, points:[at]}; draw()
}
canvas.onpointermove = e => {
  if (!e.isPrimary) return
  at = place(e)
  if (stroke && Math.hypot(...stroke.points.at(-1).map((v, i) => v-at[i])) > .004 && stroke.points.length < 2000) stroke.points.push(at.map(v => Math.min(1.5, Math.max(-.5, v))))
  draw()
}
canvas.onpointerup = canvas.onpointercancel = e => { if (e.isPrimary) put() }
canvas.onpointerleave = () => { if (!stroke) { at = null; draw() } }
canvas.onfocus = () => { if (canvas.matches(':focus-visible')) { at ??= [.5, .5]; draw() } }
canvas.onkeydown = e => {
  const by = {ArrowLeft:[-1, 0], ArrowRight:[1, 0], ArrowUp:[0, -1], ArrowDown:[0, 1]}[e.key]
  if (by) { at = (at ?? [.5, .5]).map((v, i) => Math.min(1, Math.max(0, v+by[i]*(e.shiftKey ? .005 : .02)))); draw() }
  else if (e.key === ' ' || e.key === 'Enter') { if (!e.repeat) { stroke = {color:brush, radius, points:[at ?? [.5, .5]]}; put() } } // held, it is one dot
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

// ---- its controls ----
for (const [name, c] of Object.entries(COLORS)) {
  const l = radio('brush', c, name, false)
  l.className = 'swatch'; l.style.background = c
  $('palette').append(l)
}
{
  const i = document.createElement('input')
  i.type = 'color'; i.value = '#7a5c8e'; i.setAttribute('aria-label', 'Any other color'); own.title = 'Any other color'
  i.onclick = i.oninput = () => { // a click, too: whoever wants the color from before changes nothing
    for (const o of $('palette').querySelectorAll(':checked')) o.checked = false
    own.style.setProperty('--own', i.value)
    paint_with(i.value, OWN)
  }
  own.className = 'swatch any'; own.append(i); $('palette').append(own)
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
paint_with(null)
