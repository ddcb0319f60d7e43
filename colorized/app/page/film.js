'use strict'
// Clips of film: their shots, a frame of each under the brush of page.js, and the whole clip in color.
const FILM_NAME = /\.(mkv|mov|mp4|m4v|webm|avi|mpe?g|m2v|(m2?)?ts|vob|mxf|ogv|wmv|asf|3g[p2]|dv)$/i
const unplayable = new Set() // addresses of copies for viewing
const is_clip = file => file.type.startsWith('video/') || FILM_NAME.test(file.name)
const clock = s => `${Math.floor(s/60)}:${String(Math.floor(s%60)).padStart(2, '0')}`

function clip_terms() { return `${visit.clips.why_not || `Clips of film of up to ${plural(visit.clips.seconds, 'second')}, too.`} ` }
function refusal(file) {
  if (visit.clips.why_not) return `“${file.name}” is a film. ${visit.clips.why_not}`
  if (file.size > visit.clips.bytes) return `“${file.name}” is too large: ${size(file.size)}, the limit for clips is ${size(visit.clips.bytes)}.`
}
const new_clip = file => ({kind:'clip', file, name:file.name, state:'waiting', saved:true, shots:[], thumbs:[], frames:[], images:{},
  get strokes() { return this.frames.flatMap(f => f?.strokes ?? EMPTY) }})

// ---- shots ----
async function look_through(p) {
  if (p === now) show_clip(p)
  Object.assign(p, await ask('shots', {photo:p.id}, o => busy(p, 'Looking for shots', o)))
  p.file = null; busy(p, '')
  if (p !== now) return
  show_clip(p)
  tell(`${plural(p.shots.length, 'shot')} found.`)
}
async function thumbnails(p) { // one after the other, as they come
  if (p.sampling) return
  p.sampling = true
  for (let k; photos.includes(p) && (k = p.shots.findIndex((_, i) => !p.thumbs[i])) >= 0;) {
    try { p.thumbs[k] = (await ask('thumbnail', {photo:p.id, shot:k})).image } catch (e) { fail(p, e); break }
    if (k === 0) { p.image = p.thumbs[0]; strip() }
    if (p === now) show_shots(p)
  }
  p.sampling = false
}
function show_shots(p) {
  const box = $('shots')
  if (box.clip !== p || box.children.length !== p.shots.length) {
    box.clip = p
    box.replaceChildren(...p.shots.map((s, k) => {
      const li = document.createElement('li'), b = document.createElement('button'), img = new Image(), text = document.createElement('span')
      b.type = 'button'; b.disabled = s.in_color; img.alt = ''
      b.onclick = () => open_frame(p, k)
      b.append(img, text); li.append(b)
      return li
    }))
  }
  p.shots.forEach((s, k) => {
    const [img, text] = box.children[k].firstChild.children, more = s.in_color ? ', in color: left alone' : p.frames[k]?.strokes.length ? ', corrected' : ''
    img.hidden = !p.thumbs[k]
    if (p.thumbs[k] && img.src !== p.thumbs[k]) img.src = p.thumbs[k]
    text.textContent = `Shot ${k+1}: ${clock(s.begin)}, ${plural(s.frames, 'frame')}${more}`
  })
}
function show_clip(p) {
  const made = p.files, again = made && p.made_of !== JSON.stringify(painted(p))
  $('clip-name').textContent = p.name
  $('clip-facts').textContent = p.width ? [`${p.width} × ${p.height}`, clock(p.seconds), plural(p.shots.length, 'shot'), plural(p.n_frames, 'frame')].join(' · ') : ''
  $('clip').style.setProperty('--ratio', p.width ? p.width/p.height : 1.5)
  show_shots(p)
  $('color-clip').hidden = !p.width || !!p.stop || made && !again || all_in_color(p)
  $('color-clip').textContent = made ? 'Color it again' : 'Color the clip'
  $('cancel').hidden = !p.stop
  show_progress(p)
  $('results').hidden = !made
  if (made) show_results(p)
}
function show_progress(p, progress) {
  const idle = !p.width ? '' : all_in_color(p) ? 'This clip is in color already.' : p.note ?? (p.files ? p.made_of === JSON.stringify(painted(p)) ? '' : 'You have painted since. Only the shots that you corrected are colored anew.'
    : 'Is a color wrong? Open its shot and paint on it, now or later.')
  $('clip-says').textContent = p.busy || idle
  $('clip-progress').hidden = !p.busy
  if (progress > 0 && progress < 1) $('clip-progress').value = progress
  else $('clip-progress').removeAttribute('value')
}

// ---- a frame under the brush ----
async function open_frame(p, k) {
  const f = p.frames[k] ??= {kind:'frame', clip:p, shot:k, id:p.id, name:`Shot ${k+1}`, state:'ready', seed:0, saturation:1, strokes:[], drawn:0, seeds:[], images:{}, remarks:[], saved:true,
    width:p.width, height:p.height}
  choose(f)
  $('back').focus()
  if (f.before) return
  try {
    Object.assign(f, await ask('frame', {photo:p.id, shot:k}, o => busy(f, 'Finding the colors of the shot', o)))
    await recolor(f, true)
  } catch (e) { fail(f, e); p.frames[k] = null; if (f === now) choose(p) }
}
function corrected(f) {
  f.clip.thumbs[f.shot] = f.image
  f.clip.saved = false; f.clip.note = null
  if (now === f.clip) show_clip(f.clip)
}
$('back').onclick = () => {
  const {clip, shot} = now
  choose(clip)
  $('shots').children[shot].firstChild.focus()
}

// ---- all of it ----
const all_in_color = p => p.shots.length > 0 && p.shots.every(s => s.in_color)
const painted = p => p.frames.flatMap(f => f?.strokes.length ? [[f.shot, f.strokes]] : EMPTY)
function time_left(p, done) { // from what was done in the last half minute: shots that were there before took no time
  const now = performance.now()/1000
  if (p.pace.at(-1)?.[1] !== done) p.pace.push([now, done])
  while (p.pace.length > 3 && now-p.pace[1][0] > 30) p.pace.shift()
  if (p.pace.length < 4) return '' // the first frame takes longer, with all that comes before it
  const [, [t, d]] = p.pace, seconds = (1-done)*(now-t)/(done-d)
  return !(now-t > 3 && seconds < 1e5) ? '' : seconds < 50 ? ', less than a minute left' : `, about ${plural(Math.ceil(seconds/60), 'minute')} left`
}
// A browser opens six connections to a server, and the rest of the page needs them, too: only the first clip in line has a stream
const line = []
function move_up() {
  line.forEach((p, i) => i ? busy(p, 'Beginning', {place:i+line[0].place}) : p.begin())
}
async function color_clip(p) {
  const stop = p.stop = new AbortController()
  const turn = new Promise((yes, no) => { p.begin = yes; stop.signal.onabort = no })
  p.place = 0; p.pace = []; p.note = null
  busy(p, 'Beginning'); line.push(p); move_up(); show_clip(p); $('cancel').focus()
  tell(p === line[0] ? 'Coloring the clip.' : p.busy)
  const told = o => {
    const doing = o.doing ? o.doing[0].toUpperCase()+o.doing.slice(1) : 'Beginning'
    busy(p, doing + (o.progress > 0 && o.progress < 1 ? time_left(p, o.progress) : ''), o)
    p.place = o.place ?? 0; move_up() // those in line wait for other people's clips, too
  }
  let done = false
  try {
    await turn
    const strokes = painted(p) // also what was painted in line
    const {files, remarks} = await ask('film', {photo:p.id, strokes}, told, stop.signal)
    Object.assign(p, {files, remarks, made_of:JSON.stringify(strokes), saved:false}); done = true
    tell('The clip is in color. The colors are invented.')
  } catch (e) {
    if (stop.signal.aborted) tell(p.note = 'Canceled. What is done is kept: it goes on from there.')
    else fail(p, e)
  }
  p.stop = null; busy(p, '')
  line.splice(line.indexOf(p), 1); move_up()
  if (p !== now) return
  const waited = [$('cancel'), document.body].includes(document.activeElement) // who is elsewhere by now stays there
  show_clip(p)
  if (waited) (done ? $('downloads').querySelector('a') : $('color-clip')).focus()
}
function show_results(p) {
  const video = $('video'), [first] = p.files, plays = first.name.endsWith('.mp4') && !unplayable.has(first.url)
  video.hidden = !plays
  if (plays && video.getAttribute('src') !== first.url) { video.poster = p.thumbs[0] ?? ''; video.src = first.url }
  $('downloads').replaceChildren(...p.files.map(o => {
    const li = document.createElement('li'), mp4 = o.name.endsWith('.mp4')
    const link = (file, text, style) => {
      const a = document.createElement('a')
      a.href = file.url; a.download = file.name; a.textContent = text; a.className = style
      if (file !== o) a.setAttribute('aria-label', `How ${o.name} was made (JSON)`)
      if (file === o) a.onclick = () => { p.saved = true } // its record alone is no copy
      return a
    }
    li.append(link(o, `${mp4 ? 'For viewing' : 'For keeping'}: ${mp4 ? 'MP4, H.264' : 'Matroska, FFV1'}, ${o.size}`, 'button'),
      link(o.record, 'How it was made (JSON)', 'record'))
    return li
  }))
  const notes = p.remarks.join('; ')
  $('clip-remarks').textContent = notes && `Notes: ${notes}${notes.endsWith('?') ? '' : '.'}`
}
$('video').onerror = () => {
  const src = $('video').getAttribute('src')
  if (!src) return
  unplayable.add(src); $('video').hidden = true
  complain('This browser cannot play the copy for viewing. The files are there all the same.')
}
$('color-clip').onclick = () => color_clip(now)
$('cancel').onclick = () => now.stop?.abort()
$('clip-remove').onclick = () => forget(now)
