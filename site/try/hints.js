// Strokes of the brush on the grid of the chroma: `hint_grid` of `colorized.inference.hints`.
// A stroke is {color, radius, points}: fractions of the sides, the radius of the shorter one.

import {rgbToLab} from './lab.js'
import {area, map, resample} from './matrices.js'

const FINE = 4, LEAST = 0.2 // pixels a cell and side; cover from which a cell is painted

function drawn(strokes, h, w) {
  const pen = new OffscreenCanvas(w, h).getContext('2d', {willReadFrequently: true})
  pen.lineCap = pen.lineJoin = 'round'
  for (const {color, radius, points} of strokes) {
    pen.strokeStyle = color
    pen.lineWidth = Math.max(1.5*FINE, 2*radius*Math.min(w, h))
    pen.beginPath()
    points.forEach(([x, y], i) => i ? pen.lineTo(x*w, y*h) : pen.moveTo(x*w, y*h))
    const [x, y] = points.at(-1)
    pen.lineTo(x*w+0.01, y*h)
    pen.stroke()
  }
  return pen.getImageData(0, 0, w, h).data
}

// (3,h,w): chroma in CIELAB units, 0 where unknown, and the mask; null without strokes.
// `L` is the lightness on which the network works
export function hintGrid(strokes, h, w, L) {
  if (!strokes.length) return null
  const rgba = drawn(strokes, FINE*h, FINE*w), out = map(3, h, w), n = h*w
  const light = resample(L, area(L.h, h), area(L.w, w))
  for (let i = 0; i < h; i++) for (let j = 0; j < w; j++) {
    const sum = [0, 0, 0, 0], at = i*w+j
    for (let y = 0; y < FINE; y++) for (let x = 0; x < FINE; x++) {
      const k = 4*((FINE*i+y)*FINE*w+FINE*j+x), alpha = rgba[k+3]/255
      if (!alpha) continue
      const lab = rgbToLab(rgba[k]/255, rgba[k+1]/255, rgba[k+2]/255)
      lab.forEach((v, c) => { sum[c] += v*alpha })
      sum[3] += alpha
    }
    if (sum[3] <= LEAST*FINE**2) continue
    const [l, a, b] = sum.map(v => v/sum[3]) // the saturation asked for, not its chroma
    const scale = Math.min(1, light.data[at]/Math.max(1, l))
    out.data.set([a*scale], at)
    out.data.set([b*scale], n+at)
    out.data[2*n+at] = 1
  }
  return out.data.subarray(2*n).some(v => v) ? out : null
}
