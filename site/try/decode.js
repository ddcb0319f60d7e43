// A file as a photograph in memory: upright pixels and what the file says, or an error that says
// what is wrong with it

import {cleaned, orientation} from './exif.js'
import {readGif, readWebp} from './frames.js'
import {isJpeg, readJpeg} from './jpeg.js'
import {collapsed, upright} from './photograph.js'
import {canDecode, decodePng, isPng, readPng} from './png.js'

const MAX_PIXELS = 60e6 // of more, a tab holds too much at once
const NOT_CARRIED = 'metadata of this format is not carried over'

const latin = (b, from, to) => new TextDecoder('latin1').decode(b.subarray(from, to))

function formatOf(b) {
  if (!b.length) throw new Error('the file is empty')
  if (isJpeg(b)) return 'JPEG'
  if (isPng(b)) return 'PNG'
  const four = latin(b, 0, 4), brand = latin(b, 4, 12)
  if (four === 'RIFF' && latin(b, 8, 12) === 'WEBP') return 'WebP'
  if (four === 'GIF8') return 'GIF'
  if (four.startsWith('BM')) return 'BMP'
  if (brand === 'ftypavif') return 'AVIF'
  const other = ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].includes(four) ? 'TIFF' :
    /^ftyp(hei|mif)/.test(brand) ? 'HEIC' : null
  if (other) throw new Error(`${other} is not read here; the command “colorized” does`)
  throw new Error('this is not a photograph in a format that this page reads')
}

function checkSize({width, height}) {
  if (width*height > MAX_PIXELS) {
    const mega = n => Math.round(n/1e6)
    throw new Error(`${width} × ${height} are ${mega(width*height)} megapixels; `
      + `this page takes up to ${mega(MAX_PIXELS)}`)
  }
}

// Pixels as the browser decodes them, in sRGB; gray if all are
async function fromBrowser(bytes, notes) {
  const bitmap = await createImageBitmap(new Blob([bytes]), {premultiplyAlpha: 'none'})
    .catch(() => { throw new Error('the file is damaged, or of a kind that no browser reads') })
  const {width, height} = bitmap, strip = Math.max(1, Math.floor(2**20/width))
  checkSize(bitmap)
  const pen = new OffscreenCanvas(width, Math.min(strip, height))
    .getContext('2d', {willReadFrequently: true})
  let pixels = new Uint8Array(width*height), channels = 1, isOpaque = true
  for (let top = 0, at = 0; top < height; top += strip) {
    const rows = Math.min(strip, height-top)
    pen.clearRect(0, 0, width, rows)
    pen.drawImage(bitmap, 0, -top)
    const {data} = pen.getImageData(0, 0, width, rows)
    for (let k = 0; k < data.length; k += 4, at++) {
      if (channels === 1 && (data[k] !== data[k+1] || data[k] !== data[k+2])) {
        const gray = pixels
        pixels = new Uint8Array(3*width*height)
        for (let i = 0; i < at; i++) pixels.fill(gray[i], 3*i, 3*i+3)
        channels = 3
      }
      if (channels === 1) pixels[at] = data[k]
      else pixels.set(data.subarray(k, k+3), 3*at)
      isOpaque &&= data[k+3] === 255
    }
  }
  bitmap.close()
  if (!isOpaque) notes.push('its transparency was left behind')
  return {pixels, channels, width, height, bits: 8}
}

async function openPng(bytes) {
  const said = await readPng(bytes), turn = said.exif ? orientation(said.exif) : 1
  checkSize(said)
  if (canDecode(said) && said.profile === 'sRGB')
    return {said, photo: upright(collapsed(await decodePng(said)), turn), turn}
  if (said.bits === 16) said.notes.push('it was read in 8 bits, through its color profile')
  return {said, photo: await fromBrowser(bytes, said.notes), turn}
}

async function openJpeg(bytes) {
  const said = readJpeg(bytes)
  checkSize(said)
  return {said, photo: await fromBrowser(bytes, said.notes),
    turn: said.exif ? orientation(said.exif) : 1}
}

// Browsers differ in whether EXIF turns it, so they are not shown any
async function openWebp(bytes) {
  const {frames, exif, exifAt} = readWebp(bytes), turn = exif ? orientation(exif) : 1
  const notes = [NOT_CARRIED]
  if (turn > 1) {
    bytes = bytes.slice()
    bytes[exifAt] = 120 // xXIF: a chunk that nobody knows
  }
  return {said: {frames, notes}, photo: upright(await fromBrowser(bytes, notes), turn), turn}
}

async function openOther(bytes, format) {
  const said = {...format === 'GIF' && readGif(bytes), notes: [NOT_CARRIED]}
  return {said, photo: await fromBrowser(bytes, said.notes), turn: 1}
}

const hex = buffer =>
  Array.from(new Uint8Array(buffer), v => v.toString(16).padStart(2, '0')).join('')

// {photo, format, exif, xmp, iptc, rights, dpi, comment, notes, turn, sha256}: EXIF as it fits the
// pixels, and how they were turned, which XMP does not know yet
export async function openPhotograph(file) {
  const bytes = new Uint8Array(await file.arrayBuffer()), format = formatOf(bytes)
  const open = {JPEG: openJpeg, PNG: openPng, WebP: openWebp}[format] ?? openOther
  const {said, photo, turn} = await open(bytes, format)
  const {xmp, iptc, rights, comment, frames, notes} = said
  const dpi = turn > 4 ? said.dpi?.reverse() : said.dpi
  const exif = said.exif && cleaned(said.exif, photo, turn)
  if (exif === null) notes.push('EXIF is damaged and was left behind')
  if (frames > 1) notes.push(`only the first of ${frames} pages was read`)
  return {photo, format, exif, xmp, iptc, rights, dpi, comment, notes, turn,
    sha256: hex(await crypto.subtle.digest('SHA-256', bytes))}
}
