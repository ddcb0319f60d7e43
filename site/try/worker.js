// Everything that takes time, away from the page: it asks {id, ask, …} and is answered
// {id, answer}, {id, error} or {id, canceled}, with {id, progress, doing} in between.

import {openPhotograph} from './decode.js'
import {inWords} from './errors.js'
import {hintGrid} from './hints.js'
import {jpegHead} from './jpeg.js'
import {JpegWriter} from './jpegwriter.js'
import {fInverse, fromLinear} from './lab.js'
import {Model, fetched} from './model.js'
import {thumbnail, workingShape} from './photograph.js'
import {encodePng, leftOut} from './png.js'
import {picture, render} from './render.js'
import {ChromaSampler} from './sampling.js'

const SIDE = 1000, QUALITY = 95 // longest side on the screen; of JPEG, as the command has it
const canceled = new Set()
let model = null, now = null
let fetching = 0, stop = null // the question that waits for the model, and what ends its waiting

class Canceled extends Error {}

// `rest(share)`: tells the page, lets messages in, and stops where they say so
function resting(id, doing, from = 0, to = 1) {
  return async share => {
    postMessage({id, doing, progress: from+(to-from)*share})
    await new Promise(go => setTimeout(go))
    if (canceled.has(id)) throw new Canceled()
  }
}

// Canceled, it goes on arriving for the next photograph
async function load(id) {
  fetching = id
  const tell = share =>
    postMessage({id: fetching, doing: 'Fetching the model', progress: share})
  model ??= Model.open(tell).catch(e => {
    model = null
    throw e
  })
  const {threads, manifest} = await Promise.race([model, new Promise((_, no) => { stop = no })])
  return {threads, manifest}
}

// A small gray copy for the screen
function small(photo) {
  const s = Math.min(1, SIDE/Math.max(photo.height, photo.width))
  const [h, w] = [photo.height, photo.width].map(n => Math.max(1, Math.round(n*s)))
  const pixels = Uint8Array.from(thumbnail(photo, h, w).data, v =>
    Math.min(255, Math.max(0, Math.round(255*fromLinear(fInverse((v+16)/116))))))
  return {pixels, channels: 1, width: w, height: h, bits: 8}
}

function shown({pixels, width, height}) {
  const data = new Uint8ClampedArray(4*width*height)
  pixels.forEach((v, i) => data.set([v, v, v, 255], 4*i))
  return {data, width, height}
}

async function open(id, {file}) {
  now = null
  const rest = resting(id, 'Reading the photograph')
  await rest(0)
  const opened = await openPhotograph(file), {photo, format, notes, xmp, rights, turn} = opened
  await rest(0.5)
  const preview = small(photo)
  now = {...opened, preview, chroma: new Map()}
  const {width, height, bits} = photo
  return {width, height, bits, format, notes, xmp, rights, turn, sha256: opened.sha256,
    before: shown(preview)}
}

// What the network knows of the photograph, once
async function prepare(id) {
  if (now.sampler) return
  await load(id)
  const {manifest} = await model, rest = resting(id, 'Looking at the photograph')
  await rest(0)
  const [h, w] = workingShape(now.photo, manifest.grid)
  now.L = thumbnail(now.photo, h, w)
  await rest(0.3)
  now.sampler = new ChromaSampler(manifest, await (await model).condition(now.L))
}

async function chromaOf(id, {seed, strokes}) {
  const key = JSON.stringify([seed, strokes])
  if (!now.chroma.has(key)) {
    await prepare(id)
    const [h, w] = now.sampler.condition.shape, hints = hintGrid(strokes, h, w, now.L)
    const rest = resting(id, 'Inventing colors')
    now.chroma.set(key, await now.sampler.sample(seed, hints, rest))
  }
  return now.chroma.get(key)
}

async function color(id, wish) {
  const chroma = await chromaOf(id, wish)
  const data = picture(now.preview, chroma, wish.strength)
  const {width, height} = now.preview
  return {after: {data, width, height}, chroma: chroma.data}
}

async function asJpeg(next, {width, height}, metadata) {
  const {parts, notes} = jpegHead(metadata), writer = new JpegWriter(width, height, QUALITY)
  for (let o; (o = await next());) writer.add(o.pixels, o.rows)
  return {blob: new Blob([...parts, ...writer.finish()], {type: 'image/jpeg'}), notes}
}

async function save(id, wish) {
  const chroma = await chromaOf(id, wish), {format, bits, strength, xmp, bareXmp} = wish
  const {photo, exif, iptc, dpi, comment} = now
  const icc = new Uint8Array(await fetched('model/srgb.icc'))
  const metadata = {exif, xmp, bareXmp, iptc, dpi, icc, comment}
  const rest = resting(id, 'Writing the file'), strips = render(photo, chroma, {bits, strength})
  const next = async () => {
    const {value} = strips.next()
    if (value) await rest(value.top/photo.height)
    return value ?? null
  }
  if (format === 'JPEG') return asJpeg(next, photo, metadata)
  const parts = await encodePng(next, {...photo, bits}, metadata)
  const notes = comment ? [leftOut(['Comment'])] : []
  return {blob: new Blob(parts, {type: 'image/png'}), notes}
}

const ASKS = {load, open, color, save}
let turn = Promise.resolve() // one after the other

async function answer({id, ask, ...args}) {
  try {
    if (canceled.has(id)) throw new Canceled()
    if (!now && ask !== 'open' && ask !== 'load') throw new Canceled()
    postMessage({id, answer: await ASKS[ask](id, args)})
  } catch (e) {
    postMessage(e instanceof Canceled ? {id, canceled: true} : {id, error: inWords(e)})
  }
  canceled.delete(id)
}

onmessage = ({data}) => {
  if (data.cancel) {
    canceled.add(data.cancel)
    stop?.(new Canceled())
  } else turn = turn.then(() => answer(data))
}
