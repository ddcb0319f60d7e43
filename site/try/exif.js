// EXIF that fits upright sRGB pixels: changed in place, so that all else stays where it is.
// As `clean_exif` of `colorized.photo.metadata`, but that keeps no preview either.

const ORIENTATION = 274, EXIF_DIRECTORY = 34665
const COLOR_SPACE = 40961, WIDTH = 40962, HEIGHT = 40963
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
    return at ? view.getUint16(at+8, little) : 1
  } catch {
    return 1
  }
}

function put({view, little}, at, value) {
  if (at === undefined) return
  const kind = view.getUint16(at+2, little)
  if (kind === SHORT && value < 65536) view.setUint16(at+8, value, little)
  else if (kind === LONG) view.setUint32(at+8, value, little)
}

// A copy of the block, upright and for sRGB, without a preview; null if it is damaged
export function cleaned(tiff, {width, height}) {
  try {
    const file = opened(tiff = tiff.slice())
    put(file, file.entries.get(ORIENTATION), 1)
    cutPreview(file, tiff)
    const more = file.entries.get(EXIF_DIRECTORY)
    if (more !== undefined) {
      const inner = directory(file.view, file.view.getUint32(more+8, file.little), file.little)
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
