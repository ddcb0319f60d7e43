// What a JPEG says of itself, and a JPEG with what ours shall say

const text = new TextDecoder('latin1'), bytesOf = s => Uint8Array.from(s, c => c.charCodeAt())
const EXIF = 'Exif\0\0', XMP = 'http://ns.adobe.com/xap/1.0/\0'
const MORE_XMP = 'http://ns.adobe.com/xmp/extension/\0', PHOTOSHOP = 'Photoshop 3.0\0'
export const IPTC = 0x0404 // number of the record among Photoshop's resources

export const isJpeg = b => b[0] === 0xff && b[1] === 0xd8 && b[2] === 0xff

// A resource of Photoshop, or null
export function resource(data, wanted) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  for (let i = 0; i+12 <= data.length && text.decode(data.subarray(i, i+4)) === '8BIM';) {
    const id = view.getUint16(i+4), name = data[i+6]
    i += 6+(name+2 & ~1)
    const size = view.getUint32(i)
    if (id === wanted) return data.slice(i+4, i+4+size)
    i += 4+(size+1 & ~1)
  }
  return null
}

// What Photoshop's resources say of copyright, by the names that XMP has for it
export function rights(data) {
  const [flag, address] = [1034, 1035].map(id => resource(data, id) ?? [])
  const kept = Uint8Array.from(address).filter(v => v)
  return {...flag.some(v => v && v !== 32) && {Marked: 'True'},
    ...kept.length && {WebStatement: inAnyEncoding(kept).trim()}}
}

function inAnyEncoding(bytes) {
  try {
    return new TextDecoder('utf-8', {fatal: true}).decode(bytes)
  } catch {
    return text.decode(bytes)
  }
}

function* segments(b) {
  for (let i = 2; i+4 <= b.length && b[i] === 0xff;) {
    const marker = b[i+1]
    if (marker === 0xff) { i++; continue }
    const size = b[i+2]<<8 | b[i+3]
    yield {marker, body: b.subarray(i+4, i+2+size), end: i+2+size}
    if (marker === 0xda) return
    i += 2+size
  }
}

const isFrame = m => m >= 0xc0 && m <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(m)

// {width, height, exif, xmp, iptc, rights, dpi, comment, notes}. Throws where the file is not whole
export function readJpeg(b) {
  const out = {notes: []}, comments = new Map() // what is said twice, once
  let scan = 0
  for (const {marker, body, end} of segments(b)) {
    const starts = s => text.decode(body.subarray(0, s.length)) === s
    if (isFrame(marker)) {
      out.height = body[1]<<8 | body[2]
      out.width = body[3]<<8 | body[4]
    } else if (marker === 0xe0 && starts('JFIF\0') && (body[7] === 1 || body[7] === 2)) {
      const unit = body[7] === 1 ? 1 : 2.54
      out.dpi = [8, 10].map(i => (body[i]<<8 | body[i+1])*unit)
    } else if (marker === 0xe1 && starts(EXIF)) out.exif ??= body.slice(EXIF.length)
    else if (marker === 0xe1 && starts(XMP)) out.xmp ??= body.slice(XMP.length)
    else if (marker === 0xe1 && starts(MORE_XMP)) out.hasMoreXmp = true
    else if (marker === 0xed && starts(PHOTOSHOP)) {
      const resources = body.subarray(PHOTOSHOP.length)
      out.iptc ??= resource(resources, IPTC)
      out.rights = {...rights(resources), ...out.rights}
    } else if (marker === 0xfe && body.length) comments.set(text.decode(body), body)
    if (marker === 0xda) scan = end
  }
  if (comments.size) // of no encoding that is known: bytes, lines of one
    out.comment = Uint8Array.from([...comments.values()].flatMap(o => [10, ...o]).slice(1))
  if (out.hasMoreXmp) out.notes.push('the second part of its XMP was left behind')
  const whole = scan && out.width && endsAfter(b, scan)
  if (!whole) throw new Error('the file is truncated or damaged')
  return out
}

function endsAfter(b, start) {
  for (let i = b.length-2; i >= start; i--) if (b[i] === 0xff && b[i+1] === 0xd9) return true
  return false
}

function segment(marker, ...parts) {
  const length = parts.reduce((n, o) => n+o.length, 2)
  return length > 65535 ? null : [Uint8Array.of(0xff, marker, length>>8, length&255), ...parts]
}

function iptcParts(iptc) {
  const n = iptc.length, size = Uint8Array.of(n>>>24, n>>>16, n>>>8, n)
  const head = bytesOf(`${PHOTOSHOP}8BIM\x04\x04\0\0`)
  return [head, size, iptc, new Uint8Array(n%2)]
}

// A JPEG up to its tables, with EXIF, XMP, IPTC, profile, comment and resolution. {parts, notes}
export function jpegHead({exif, xmp, bareXmp, iptc, icc, dpi, comment}) {
  const notes = [], [x, y] = dpi?.map(v => Math.min(65535, Math.round(v))) ?? [1, 1]
  const density = Uint8Array.of(1, 1, dpi ? 1 : 0, x>>8, x&255, y>>8, y&255, 0, 0)
  const parts = [Uint8Array.of(0xff, 0xd8), ...segment(0xe0, bytesOf('JFIF\0'), density)]
  const add = (name, made, instead) => {
    if (!made) notes.push(`${name} is too large for a JPEG and was left behind`)
    parts.push(...(made ?? instead ?? []))
  }
  if (exif) add('EXIF', segment(0xe1, bytesOf(EXIF), exif))
  add('XMP', segment(0xe1, bytesOf(XMP), xmp), segment(0xe1, bytesOf(XMP), bareXmp))
  if (iptc) add('IPTC', segment(0xed, ...iptcParts(iptc)))
  add('the profile', segment(0xe2, bytesOf('ICC_PROFILE\0\x01\x01'), icc))
  if (comment) add('the comment', segment(0xfe, comment))
  return {parts, notes}
}
