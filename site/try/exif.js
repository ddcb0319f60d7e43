// EXIF that fits upright sRGB pixels: changed in place, so that all else stays where it is.
// As `clean_exif` of `colorized.photo.metadata`, but that keeps no preview either.

const ORIENTATION = 274, X_RESOLUTION = 282, Y_RESOLUTION = 283, EXIF_DIRECTORY = 34665
const COLOR_SPACE = 40961, WIDTH = 40962, HEIGHT = 40963
const SUBJECT = [37396, 41492] // its area (center and sides, or diameter), its location
const SHORT = 3, LONG = 4

// The entries of a directory, and where it says where the next one is
function directory(view, at, little) {
  const n = view.getUint16(at, little), entries = new Map()
  for (let i = 0; i < n; i++) {
    const place = at+2+12*i
    entries.set(view.getUint16(place, little), place)
  }
  return {entries, next: at+2+12*n}
}

function opened(tiff) {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength)
  const order = view.getUint16(0), little = order === 0x4949
  if (!little && order !== 0x4d4d) throw new Error('no TIFF header')
  return {view, little, ...directory(view, view.getUint32(4, little), little)}
}

export function orientation(tiff) {
  try {
    const {view, little, entries} = opened(tiff), at = entries.get(ORIENTATION)
    const stated = at ? view.getUint16(at+8, little) : 1
    return stated > 0 && stated < 9 ? stated : 1
  } catch {
    return 1
  }
}

// Where a point, in parts of the sides, is after the picture was turned upright
export function turnPoint(x, y, turn) {
  if (turn > 4) [x, y] = [y, x]
  return [[2, 3, 6, 7].includes(turn) ? 1-x : x, [3, 4, 7, 8].includes(turn) ? 1-y : y]
}

function put({view, little}, at, value) {
  if (at === undefined) return
  const kind = view.getUint16(at+2, little)
  if (kind === SHORT && value < 65536) view.setUint16(at+8, value, little)
  else if (kind === LONG) view.setUint32(at+8, value, little)
}

// Two entries exchange their values
function swap(tiff, a, b) {
  if (a === undefined || b === undefined) return
  const first = tiff.slice(a+2, a+12) // behind the tag
  tiff.copyWithin(a+2, b+2, b+12)
  tiff.set(first, b+2)
}

// Have a place of the subject fit the upright pixels: `turn_subject` of `colorized.photo.metadata`
function turnSubject({view, little}, at, {width, height}, turn) {
  const isShort = at !== undefined && view.getUint16(at+2, little) === SHORT
  const n = isShort ? view.getUint32(at+4, little) : 0
  const from = n > 2 ? view.getUint32(at+8, little) : at+8
  if (n < 2 || from+2*n > view.byteLength) return
  const [x, y, ...sides] = Array.from({length: n}, (_, i) => view.getUint16(from+2*i, little))
  const [w, h] = turn > 4 ? [height, width] : [width, height] // as stored
  const turned = turnPoint((x+0.5)/w, (y+0.5)/h, turn) // of the pixel's center
  const place = [width, height].map((n, i) =>
    Math.min(n-1, Math.max(0, Math.trunc(turned[i]*n))))
  const values = [...place, ...turn > 4 ? sides.reverse() : sides]
  values.forEach((v, i) => view.setUint16(from+2*i, v, little))
}

// A copy of the block, upright and for sRGB, without a preview; null if it is damaged.
// `turn`: the orientation that the pixels had
export function cleaned(tiff, {width, height}, turn) {
  try {
    const file = opened(tiff = tiff.slice())
    put(file, file.entries.get(ORIENTATION), 1)
    if (turn > 4) swap(tiff, ...[X_RESOLUTION, Y_RESOLUTION].map(o => file.entries.get(o)))
    cutPreview(file, tiff)
    const more = file.entries.get(EXIF_DIRECTORY)
    if (more !== undefined) {
      const inner = directory(file.view, file.view.getUint32(more+8, file.little), file.little)
      for (const o of SUBJECT) turnSubject(file, inner.entries.get(o), {width, height}, turn)
      const said = {[COLOR_SPACE]: 1, [WIDTH]: width, [HEIGHT]: height}
      for (const [tag, v] of Object.entries(said)) put(file, inner.entries.get(+tag), v)
    }
    return tiff
  } catch {
    return null
  }
}

// No second directory, and no pixels of the preview that it described
function cutPreview({view, little, next}, tiff) {
  const second = next+4 > tiff.length ? 0 : view.getUint32(next, little)
  if (!second) return
  view.setUint32(next, 0, little)
  try {
    const {entries} = directory(view, second, little)
    const at = entries.get(513), length = entries.get(514)
    if (at === undefined || length === undefined) return
    const from = view.getUint32(at+8, little)
    tiff.fill(0, from, from+view.getUint32(length+8, little))
  } catch {} // it is not there
}
