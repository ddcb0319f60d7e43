// What `colorized.theory.guidance` and `colorized.model.similarity` put between network and
// sampler. Maps are {data, c, h, w}; cells are places of a coarse grid (gh,gw).

import {bilinear, box, dense, map, pool, resample} from './matrices.js'

export function cellGrid(h, w, most) {
  const [gh, gw] = [Math.ceil(h/8), Math.ceil(w/8)], s = Math.min(1, (most/(gh*gw))**0.5)
  return [Math.max(1, Math.floor(gh*s)), Math.max(1, Math.floor(gw*s))]
}

// The matrices and places that the graph `similarity` takes, for a photograph of (h,w) pixels
export function similarityInputs(h, w, [gh, gw]) {
  const place = map(2, gh, gw), step = 4/Math.min(gh, gw)
  for (let i = 0; i < gh; i++) for (let j = 0; j < gw; j++) {
    place.data[i*gw+j] = i*step
    place.data[(gh+i)*gw+j] = j*step
  }
  const matrix = o => ({data: dense(o), dims: [o.rows.length, o.n]})
  return {
    rows: matrix(pool(h, gh)), columns: matrix(pool(w, gw)),
    rows_16: matrix(bilinear(h/16, gh)), columns_16: matrix(bilinear(w/16, gw)),
    place: {data: place.data, dims: [1, 2, gh, gw]}}
}

function spread(values) {
  const mean = values.reduce((a, b) => a+b, 0)/values.length
  const square = values.reduce((a, b) => a+(b-mean)**2, 0)/values.length
  return Math.max(1e-6, Math.sqrt(square))
}

// Cells that look alike agree on what is new since the first guess
export function averageSimilar(x0, first, {weights, grid: [gh, gw]}, restored) {
  const n = gh*gw, difference = map(x0.c, x0.h, x0.w, x0.data.map((v, i) => v-first.data[i]))
  const own = resample(difference, pool(x0.h, gh), pool(x0.w, gw)), change = map(x0.c, gh, gw)
  for (let c = 0; c < x0.c; c++) {
    const mine = own.data.subarray(c*n, (c+1)*n), mean = change.data.subarray(c*n, (c+1)*n)
    for (let i = 0; i < n; i++) {
      let sum = 0
      for (let j = 0, k = i*n; j < n; j++, k++) sum += weights[k]*mine[j]
      mean[i] = sum
    }
    const scale = (spread(mine)/spread(mean))**restored
    for (let i = 0; i < n; i++) mean[i] = mean[i]*scale-mine[i]
  }
  const up = resample(change, bilinear(gh, x0.h), bilinear(gw, x0.w))
  return map(x0.c, x0.h, x0.w, x0.data.map((v, i) => v+up.data[i]))
}

// How sure the first guess is of small regions: colorful where the surroundings are not.
// `first` in CIELAB units
export function smallRegionConfidence(first, {anchor_chroma, anchor_around}) {
  const {h, w} = first, n = h*w
  const squares = map(1, h, w, first.data.slice(0, n).map((v, i) => v*v+first.data[n+i]**2))
  const c2 = resample(squares, box(h, 3), box(w, 3))
  const s = map(1, h, w, c2.data.map(v => v/(v+anchor_chroma**2)))
  const side = Math.max(3, Math.floor(Math.floor(Math.min(h, w)*anchor_around)/2)*2+1)
  const around = resample(s, box(h, side), box(w, side))
  return map(1, h, w, s.data.map((v, i) => v*(1-around.data[i])))
}

function redness(a, b) {
  const d = ((Math.atan2(b, a)*180/Math.PI-62+180)%360+360)%360-180
  return -137 < d && d < 0 ? (1-Math.exp(-((d/40)**2)))*Math.min(1, (d+137)/40) : 0
}

// Weak reds and purples become paler: `shrink_reds` of `colorized.model.reds`
export function shrinkReds(ab, strength) {
  if (!strength) return ab
  const {h, w, data} = ab, n = h*w
  const side = Math.max(3, Math.floor(Math.floor(Math.min(h, w)/16)/2)*2+1)
  const mean = resample(ab, box(h, side), box(w, side)).data
  const left = Float32Array.from({length: n}, (_, i) => {
    const u = Math.min(1, Math.max(0, (Math.hypot(mean[i], mean[n+i])-14)/20))
    const red = Math.sqrt(redness(data[i], data[n+i])*redness(mean[i], mean[n+i]))
    return 1-0.65*strength*red*(1-u*u*(3-2*u))
  })
  return map(2, h, w, data.map((v, i) => v*left[i%n]))
}

// The estimate is drawn to the first guess as far as `confidence` says
export function anchorSmallRegions(x0, first, confidence, gain) {
  const n = x0.h*x0.w
  return map(x0.c, x0.h, x0.w, x0.data.map(
    (v, i) => v+confidence.data[i%n]*(gain*first.data[i]-v)))
}

// Known chroma is held in place; `hints` has one channel more than `x0`, the mask
export function clampHints(x0, hints) {
  if (!hints) return x0
  const n = x0.h*x0.w, mask = x0.c*n
  return map(x0.c, x0.h, x0.w, x0.data.map(
    (v, i) => hints.data[mask+i%n] > 0 ? hints.data[i] : v))
}

function hintedCells(mask, h, w, [gh, gw]) {
  const A = pool(h, gh), B = pool(w, gw), found = []
  for (let i = 0; i < gh; i++) for (let j = 0; j < gw; j++) {
    const touched = A.rows[i].some((_, k) => B.rows[j].some(
      (_, l) => mask[(A.first[i]+k)*w+B.first[j]+l] > 0))
    if (touched) found.push(i*gw+j)
  }
  return found
}

// How far each place follows the hints: (h,w) in [0,1]
export function hintInfluence(hints, {points, grid: [gh, gw]}, reach) {
  const {h, w} = hints, n = gh*gw, d = points.length/n
  const mask = hints.data.subarray((hints.c-1)*h*w), cells = hintedCells(mask, h, w, [gh, gw])
  const k = map(1, gh, gw)
  for (let i = 0; i < n; i++) {
    let nearest = Infinity
    for (const o of cells) {
      let sum = 0
      for (let c = 0; c < d && sum < nearest; c++) sum += (points[i*d+c]-points[o*d+c])**2
      nearest = Math.min(nearest, sum)
    }
    k.data[i] = Math.exp(-nearest/2/reach)
  }
  const up = resample(k, bilinear(gh, h), bilinear(gw, w))
  return up.data.map((v, i) => Math.max(v, mask[i]))
}

// From `plain` toward `hinted`, as far as hints reach, and nowhere farther than under the hints
export function followHints(hinted, plain, influence, mask) {
  const n = hinted.h*hinted.w, change = hinted.data.map((v, i) => v-plain.data[i])
  const size = i => Math.hypot(change[i], change[n+i])
  let most = 0
  for (let i = 0; i < n; i++) most = Math.max(most, size(i)*mask[i])
  return map(2, hinted.h, hinted.w, plain.data.map((v, i) => {
    const scale = Math.min(1, most/Math.max(1e-6, size(i%n)))
    return v+influence[i%n]*change[i]*scale
  }))
}
