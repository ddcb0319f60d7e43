// PNG of 8 and 16 bits, gray and RGB; what it says of itself, and one with what ours shall say

import {IPTC, resource, rights} from './jpeg.js'

const text = new TextDecoder('latin1'), bytesOf = s => Uint8Array.from(s, c => c.charCodeAt())
const SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10)
const XMP = 'XML:com.adobe.xmp', CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
const RECORDS = ['Raw profile type iptc', 'Raw profile type 8bim'] // texts that hold IPTC

export const isPng = b => SIGNATURE.every((v, i) => b[i] === v)

const through = (data, stream) =>
  new Response(new Blob([data].flat()).stream().pipeThrough(stream)).arrayBuffer()
function damaged(e) {
  throw e instanceof RangeError ? e : new Error('the file is truncated or damaged') // or no memory
}
const inflated = async data =>
  new Uint8Array(await through(data, new DecompressionStream('deflate')).catch(damaged))
const deflated = async data =>
  new Uint8Array(await through(data, new CompressionStream('deflate')))

const PIECE = 2**14 // bytes that are inflated at once
const pieces = data => data.flatMap(o => Array.from(
  {length: Math.ceil(o.length/PIECE)}, (_, i) => o.subarray(i*PIECE, (i+1)*PIECE)))

// The first `size` bytes of what is compressed in pieces. A browser refuses what lies behind the
// stream, and may lose what came last with it: so the piece that it refuses is fed by the byte, and
// what is behind the last one that it takes is left out
async function inflatedTo(size, pieces) {
  const {readable, writable} = new DecompressionStream('deflate'), out = new Uint8Array(size)
  const from = readable.getReader(), to = writable.getWriter()
  let n = 0, fed = 0
  const reading = (async () => {
    for (let o; !(o = await from.read()).done; n += o.value.length)
      if (n < size) out.set(o.value.subarray(0, size-n), n)
  })()
  reading.catch(() => {}) // it fails where writing does
  try {
    for (; fed < pieces.length; fed++) await to.write(pieces[fed])
    await to.close()
    await reading
  } catch {
    const refused = pieces[fed]
    if (!refused) damaged() // it does not end
    const single = refused.length > 1 ? Array.from(refused, v => Uint8Array.of(v)) : []
    return inflatedTo(size, [...pieces.slice(0, fed), ...single])
  }
  if (n < size) damaged()
  return out
}

function* chunks(b) {
  const view = new DataView(b.buffer, b.byteOffset, b.byteLength)
  for (let i = 8; i+12 <= b.length;) {
    const size = view.getUint32(i), kind = text.decode(b.subarray(i+4, i+8))
    if (i+12+size > b.length) return
    yield {kind, data: b.subarray(i+8, i+8+size)}
    i += 12+size
  }
}

async function profileName(data) { // 'sRGB' if that is what the profile calls itself
  try {
    const icc = await inflated(data.subarray(data.indexOf(0)+2))
    return text.decode(icc).replaceAll('\0', '').includes('sRGB') ? 'sRGB' : 'other'
  } catch {
    return 'sRGB' // damaged: ignored, as in Python
  }
}

// What a text says, from where its key ends
async function content(kind, data, at) {
  const isPacked = kind === 'zTXt' || kind === 'iTXt' && data[at+1]
  at += {tEXt: 1, zTXt: 2, iTXt: 3}[kind]
  for (let n = kind === 'iTXt' ? 0 : 2; n < 2; at++) if (!data[at]) n++ // language, translated key
  return isPacked ? inflated(data.subarray(at)) : data.slice(at)
}

// {iptc, rights}: in hexadecimal digits as ImageMagick writes it, often Photoshop's resources
function record(said) {
  const digits = said.split('\n').slice(3).join('').replace(/\s/g, '')
  if (/[^\da-f]/i.test(digits)) damaged()
  const data = Uint8Array.from(digits.match(/../g) ?? [], o => parseInt(o, 16))
  if (text.decode(data.subarray(0, 4)) !== '8BIM') return {iptc: data}
  return {iptc: resource(data, IPTC), rights: rights(data)}
}

async function readText(kind, data, out) {
  const key = text.decode(data.subarray(0, data.indexOf(0)))
  if (key !== XMP && !RECORDS.includes(key)) return out.texts.push(key)
  try {
    const said = await content(kind, data, key.length)
    if (key === XMP) return out.xmp = said
    const {iptc, rights} = record(text.decode(said))
    out.iptc ??= iptc
    out.rights = {...rights, ...out.rights}
  } catch {
    out.notes.push(`${key === XMP ? 'XMP' : 'IPTC'} is damaged and was left behind`)
  }
}

export const leftOut = names =>
  `texts outside EXIF, IPTC and XMP were left behind: ${names.join(', ')}`

// {width, height, bits, color, interlaced, profile, exif, xmp, iptc, rights, dpi, frames, notes,
// data}
export async function readPng(b) {
  const out = {data: [], texts: [], notes: [], profile: 'sRGB'}
  let ended = false, isFrame = false // is the picture the first of an animation?
  for (const {kind, data} of chunks(b)) {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    if (kind === 'IHDR') Object.assign(out, {width: view.getUint32(0), height: view.getUint32(4),
      bits: data[8], color: data[9], interlaced: data[12] > 0})
    else if (kind === 'iCCP') out.profile = await profileName(data)
    else if (kind === 'gAMA' && Math.abs(view.getUint32(0)-45455) > 1000) out.gamma = true
    else if (kind === 'sRGB') out.stated = true
    else if (kind === 'eXIf') out.exif = data.slice()
    else if (kind === 'pHYs' && data[8] === 1)
      out.dpi = [0, 4].map(i => view.getUint32(i)*0.0254)
    else if (['iTXt', 'zTXt', 'tEXt'].includes(kind))
      await readText(kind, data, out)
    else if (kind === 'acTL') out.frames = view.getUint32(0)
    else if (kind === 'fcTL' && !out.data.length) isFrame = true
    else if (kind === 'IDAT') out.data.push(data)
    else if (kind === 'IEND') ended = true
  }
  if (!ended || !out.width) damaged()
  if (out.gamma && !out.stated && out.profile === 'sRGB') out.profile = 'other'
  if (out.frames && !isFrame) out.frames++
  if (out.texts.length) out.notes.push(leftOut(out.texts))
  return out
}

export const canDecode = ({bits, color, interlaced}) =>
  (bits === 8 || bits === 16) && color in CHANNELS && !interlaced

function paeth(a, b, c) {
  const p = a+b-c, pa = Math.abs(p-a), pb = Math.abs(p-b), pc = Math.abs(p-c)
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c
}

function unfilter(row, before, kind, n) {
  for (let i = 0; i < row.length; i++) {
    const a = i < n ? 0 : row[i-n], b = before[i], c = i < n ? 0 : before[i-n]
    row[i] += kind === 1 ? a : kind === 2 ? b : kind === 3 ? (a+b)>>1 : kind === 4 ? paeth(a, b, c)
      : 0
  }
}

// Pixels of a file for which `canDecode`: {pixels, channels, width, height, bits}
export async function decodePng({width, height, bits, color, data, notes}) {
  const all = CHANNELS[color], channels = all < 3 ? 1 : 3
  const bytes = bits/8, n = all*bytes, stride = width*n
  const raw = await inflatedTo(height*(stride+1), pieces(data))
  const pixels = new (bits === 8 ? Uint8Array : Uint16Array)(width*height*channels)
  let before = new Uint8Array(stride), isOpaque = true
  for (let i = 0, to = 0; i < height; i++) {
    const at = i*(stride+1), row = raw.subarray(at+1, at+1+stride)
    unfilter(row, before, raw[at], n)
    for (let j = 0; j < width; j++) for (let c = 0; c < all; c++) {
      const k = j*n+c*bytes, v = bits === 8 ? row[k] : row[k]<<8 | row[k+1]
      if (c < channels) pixels[to++] = v
      else isOpaque &&= v === 2**bits-1
    }
    before = row
  }
  if (!isOpaque) notes.push('its transparency was left behind')
  return {pixels, channels, width, height, bits}
}

const CRC = Uint32Array.from({length: 256}, (_, n) => {
  for (let k = 0; k < 8; k++) n = n&1 ? 0xedb88320 ^ n>>>1 : n>>>1
  return n
})
function chunk(kind, ...parts) {
  const body = [bytesOf(kind), ...parts], size = body.reduce((n, o) => n+o.length, -4)
  let crc = 0xffffffff
  for (const o of body) for (let i = 0; i < o.length; i++) crc = CRC[(crc^o[i])&255] ^ crc>>>8
  return [number(size), ...body, number(~crc)]
}
const number = n => Uint8Array.of(n>>>24, n>>>16, n>>>8, n)
const hex = b => Array.from(b, v => v.toString(16).padStart(2, '0')).join('')

// Rows as PNG filters them, each byte less the one a pixel before
function filtered(pixels, rows, width, bytes) {
  const out = new Uint8Array(rows*(3*width*bytes+1))
  for (let i = 0, k = 0, from = 0; i < rows; i++) {
    out[k++] = 1
    for (let j = 0; j < 3*width; j++, from++) {
      const v = pixels[from], u = j < 3 ? 0 : pixels[from-3]
      if (bytes === 2) out[k++] = (v>>8)-(u>>8)
      out[k++] = v-u
    }
  }
  return out
}

// The parts of a file. `next()` gives the next strip of RGB as `render` does, or null at the end
export async function encodePng(next, {width, height, bits}, {exif, xmp, iptc, icc, dpi}) {
  const header = [number(width), number(height), Uint8Array.of(bits, 2, 0, 0, 0)]
  const parts = [SIGNATURE, ...chunk('IHDR', ...header),
    ...chunk('iCCP', bytesOf('sRGB\0\0'), await deflated(icc))]
  const perMeter = dpi?.map(v => number(Math.round(v/0.0254)))
  if (perMeter) parts.push(...chunk('pHYs', ...perMeter, Uint8Array.of(1)))
  if (exif) parts.push(...chunk('eXIf', exif))
  parts.push(...chunk('iTXt', bytesOf(`${XMP}\0\0\0\0\0`), xmp))
  if (iptc) {
    const said = `\niptc\n${String(iptc.length).padStart(8)}\n${hex(iptc)}\n`
    parts.push(...chunk('zTXt', bytesOf(`${RECORDS[0]}\0\0`), await deflated(bytesOf(said))))
  }
  const rows = new ReadableStream({async pull(to) {
    const strip = await next()
    if (strip) to.enqueue(filtered(strip.pixels, strip.rows, width, bits/8))
    else to.close()
  }}, {highWaterMark: 0})
  const packed = rows.pipeThrough(new CompressionStream('deflate')).getReader()
  for (let o; !(o = await packed.read()).done;) parts.push(...chunk('IDAT', o.value))
  return [...parts, ...chunk('IEND')]
}
