// Chroma on a photograph at full size, strip by strip, its lightness kept: `up_chroma` of
// `colorized.photo.resampling` and `render_strips` of `colorized.photo.writing`

import {combine, roundKeepingGray} from './lab.js'
import {area, bicubic, consistent, map, resample} from './matrices.js'
import {readRow, thumbnail} from './photograph.js'

const EPS = 256, SIGMA = 0.7

// Means in a 5×5 Gaussian window, the border repeated
function blurred(x) {
  const k = [-2, -1, 0, 1, 2].map(i => Math.exp(-i*i/(2*SIGMA**2)))
  const sum = k.reduce((a, b) => a+b), weights = k.map(v => v/sum)
  const pass = (x, index) => {
    const out = map(x.c, x.h, x.w)
    for (let c = 0; c < x.c; c++) for (let i = 0; i < x.h; i++) for (let j = 0; j < x.w; j++) {
      let v = 0
      for (let d = -2; d <= 2; d++) v += weights[d+2]*x.data[c*x.h*x.w+index(x, i, j, d)]
      out.data[(c*x.h+i)*x.w+j] = v
    }
    return out
  }
  const clamp = (v, n) => Math.min(n-1, Math.max(0, v))
  const rows = pass(x, ({h, w}, i, j, d) => clamp(i+d, h)*w+j)
  return pass(rows, ({w}, i, j, d) => i*w+clamp(j+d, w))
}

// Ridge regression of chroma on lightness, in the neighborhood of each place
function slopes(ab, L) {
  const n = L.h*L.w, mean = L.data.reduce((a, b) => a+b, 0)/n
  const l = map(1, L.h, L.w, L.data.map(v => v-mean))
  const squares = blurred(map(1, L.h, L.w, l.data.map(v => v*v))), meanL = blurred(l)
  const products = blurred(map(2, ab.h, ab.w, ab.data.map((v, i) => v*l.data[i%n])))
  const meanAb = blurred(ab), out = map(2, ab.h, ab.w)
  for (let i = 0; i < 2*n; i++) {
    const variance = Math.max(0, squares.data[i%n]-meanL.data[i%n]**2)
    out.data[i] = (products.data[i]-meanAb.data[i]*meanL.data[i%n])/(variance+EPS)
  }
  return out
}

function joined(...maps) {
  const {h, w} = maps[0], out = map(maps.reduce((n, o) => n+o.c, 0), h, w)
  let at = 0
  for (const o of maps) {
    out.data.set(o.data, at)
    at += o.data.length
  }
  return out
}

function shrunk(ab, H, W) {
  const h = Math.min(ab.h, H), w = Math.min(ab.w, W)
  return h === ab.h && w === ab.w ? ab : resample(ab, area(ab.h, h), area(ab.w, w))
}

// A function `row(i, out)` that writes a, b of row `i` and needs its lightness
function enlarger(photo, chroma) {
  const {height: H, width: W} = photo, ab = shrunk(chroma, H, W)
  const L = thumbnail(photo, ab.h, ab.w)
  const small = joined(consistent(joined(ab, L), H, W), slopes(ab, L)) // a b L, two slopes
  const A = bicubic(ab.h, H), B = bicubic(ab.w, W)
  const mixed = Array.from({length: 5}, () => new Float64Array(ab.w))
  return (i, fy, out) => {
    for (let c = 0; c < 5; c++) {
      mixed[c].fill(0)
      A.rows[i].forEach((v, k) => {
        const from = (c*ab.h+A.first[i]+k)*ab.w
        for (let j = 0; j < ab.w; j++) mixed[c][j] += v*small.data[from+j]
      })
    }
    const [a, b, l, sa, sb] = mixed
    for (let j = 0; j < W; j++) {
      const weights = B.rows[j], from = B.first[j]
      let va = 0, vb = 0, vl = 0, ga = 0, gb = 0
      for (let k = 0, m = from; k < weights.length; k++, m++) {
        const v = weights[k]
        va += v*a[m]; vb += v*b[m]; vl += v*l[m]; ga += v*sa[m]; gb += v*sb[m]
      }
      const more = 116*fy[j]-16-vl
      out[2*j] = va+ga*more
      out[2*j+1] = vb+gb*more
    }
  }
}

// The strips of `photo` in color, from top to bottom: {top, rows, pixels}, RGB of `bits` bits.
// `chroma`: a map of 2 channels, taken times `strength`. All strips share one array
export function* render(photo, chroma, {bits = 8, strength = 1} = {}) {
  const {height, width} = photo
  const row = enlarger(photo, map(2, chroma.h, chroma.w, chroma.data.map(v => v*strength)))
  const strip = Math.max(8, Math.floor(2**18/width)&~7)
  const pixels = new (bits === 8 ? Uint8Array : Uint16Array)(Math.min(strip, height)*width*3)
  const y = new Float64Array(width), fy = new Float64Array(width), up = new Float64Array(2*width)
  const rgb = new Float64Array(3), levels = new Uint8Array(3)
  for (let top = 0; top < height; top += strip) {
    const rows = Math.min(strip, height-top)
    for (let i = 0, to = 0; i < rows; i++) {
      readRow(photo, top+i, y, fy)
      row(top+i, fy, up)
      for (let j = 0; j < width; j++, to += 3) {
        combine(fy[j], y[j], up[2*j], up[2*j+1], rgb)
        if (bits === 8) roundKeepingGray(rgb, y[j], levels)
        for (let c = 0; c < 3; c++)
          pixels[to+c] = bits === 8 ? levels[c] : Math.floor(rgb[c]*65535+0.5)
      }
    }
    yield {top, rows, pixels: pixels.subarray(0, rows*width*3)}
  }
}

// The same as one picture for the screen: RGBA bytes
export function picture(photo, chroma, strength) {
  const {width, height} = photo, out = new Uint8ClampedArray(4*width*height).fill(255)
  for (const {top, pixels} of render(photo, chroma, {strength}))
    for (let i = 0, to = 4*top*width; i < pixels.length; i += 3, to += 4)
      for (let c = 0; c < 3; c++) out[to+c] = pixels[i+c]
  return out
}
