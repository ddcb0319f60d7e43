// A photograph in memory: upright pixels in their own depth, and its lightness.
// As `colorized.photo.scan`: {pixels, channels: 1 or 3, width, height, bits: 8 or 16}

import {LUMINANCE, f, toLinear} from './lab.js'
import {fitting, map} from './matrices.js'

const tables = {}
function linearTable(bits) {
  const top = 2**bits-1
  return tables[bits] ??= Float64Array.from({length: top+1}, (_, i) => toLinear(i/top))
}

// Luminance of every gray level, and the cube root that CIELAB takes of it
function grayTables(bits) {
  const y = linearTable(bits)
  return tables[`gray${bits}`] ??= {y, fy: y.map(f)}
}

// Luminance and its `f` of row `i`, into two arrays of the width
export function readRow({pixels, channels, width, bits}, i, y, fy) {
  if (channels === 1) {
    const t = grayTables(bits)
    for (let j = 0, k = i*width; j < width; j++, k++) {
      y[j] = t.y[pixels[k]]
      fy[j] = t.fy[pixels[k]]
    }
    return
  }
  const t = linearTable(bits), [r, g, b] = LUMINANCE
  for (let j = 0, k = i*width*3; j < width; j++, k += 3) {
    y[j] = r*t[pixels[k]] + g*t[pixels[k+1]] + b*t[pixels[k+2]]
    fy[j] = f(y[j])
  }
}

// The lightness of the whole photograph at (h,w), in [0,100]: area averages, bicubic where it grows
export function thumbnail(photo, h, w) {
  const {width, height} = photo, A = fitting(height, h), B = fitting(width, w)
  const y = new Float64Array(width), fy = new Float64Array(width)
  const narrow = map(1, height, w)
  for (let i = 0; i < height; i++) {
    readRow(photo, i, y, fy)
    for (let j = 0; j < w; j++) {
      const weights = B.rows[j], from = B.first[j]
      let sum = 0
      for (let k = 0; k < weights.length; k++) sum += weights[k]*fy[from+k]
      narrow.data[i*w+j] = 116*sum-16
    }
  }
  const out = map(1, h, w)
  for (let i = 0; i < h; i++) A.rows[i].forEach((v, k) => {
    for (let j = 0, from = (A.first[i]+k)*w; j < w; j++) out.data[i*w+j] += v*narrow.data[from+j]
  })
  for (let i = 0; i < out.data.length; i++) out.data[i] = Math.min(100, Math.max(0, out.data[i]))
  return out
}

// RGB that is gray in truth becomes gray
export function collapsed(photo) {
  const {pixels, channels, width, height} = photo, n = width*height
  if (channels === 1) return photo
  for (let i = 0; i < 3*n; i += 3)
    if (pixels[i] !== pixels[i+1] || pixels[i] !== pixels[i+2]) return photo
  const gray = new pixels.constructor(n)
  for (let i = 0; i < n; i++) gray[i] = pixels[3*i]
  return {...photo, pixels: gray, channels: 1}
}

// EXIF orientation -> the place of the pixel that comes to (i,j) of the upright picture
const TURNS = {
  2: (i, j, h, w) => [i, w-1-j], 3: (i, j, h, w) => [h-1-i, w-1-j], 4: (i, j, h) => [h-1-i, j],
  5: (i, j) => [j, i], 6: (i, j, h) => [h-1-j, i], 7: (i, j, h, w) => [h-1-j, w-1-i],
  8: (i, j, h, w) => [j, w-1-i]}

export function upright(photo, orientation) {
  const turn = TURNS[orientation]
  if (!turn) return photo
  const {pixels, channels: c, width: w, height: h} = photo
  const [W, H] = orientation > 4 ? [h, w] : [w, h], out = new pixels.constructor(pixels.length)
  for (let i = 0, to = 0; i < H; i++) for (let j = 0; j < W; j++) {
    const [y, x] = turn(i, j, h, w)
    for (let k = 0, from = (y*w+x)*c; k < c; k++) out[to++] = pixels[from++]
  }
  return {...photo, pixels: out, width: W, height: H}
}

// The grid on which the network works, as `working_shape` in `colorized.model.sampling`
export function workingShape({height, width}, {size, multiple, min_size}) {
  const short = Math.min(height, width)
  const s = Math.min(size, Math.max(min_size, Math.floor(Math.floor(6*short/5)/multiple)*multiple))
  const even = x => { // halves go to the even neighbor, as in Python
    const r = Math.round(x)
    return Math.abs(x%1) === 0.5 && r%2 ? r-1 : r
  }
  const fit = n => Math.max(multiple, even(n*s/short/multiple)*multiple)
  return [height, width].map(n => Math.min(16*s, fit(n)))
}
