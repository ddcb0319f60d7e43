// From noise to chroma: `ChromaSampler` of `colorized.model.sampling` for one photograph

import {anchorSmallRegions, averageSimilar, clampHints, followHints, hintInfluence, shrinkReds,
  smallRegionConfidence} from './guidance.js'
import {map} from './matrices.js'
import {randn} from './random.js'

const scaled = (x, s) => map(x.c, x.h, x.w, x.data.map(v => v*s))

function withColors(hints, s) { // chroma times `s`, the mask as it is
  const n = 2*hints.h*hints.w
  return map(hints.c, hints.h, hints.w, hints.data.map((v, i) => i < n ? v*s : v))
}

// One step of DDIM, from index `i` of the chain to `i`-1; -1 is the clean picture
function ddimStep({signal, noise}, i, x0, x) {
  const a = signal[i], s = noise[i], a1 = i ? signal[i-1] : 1, s1 = i ? noise[i-1] : 0
  const mix = (v, k) => a1*v + s1/s*(x.data[k]-a*v)
  return map(x.c, x.h, x.w, x0.data.map(mix))
}

// How much of the last change DPM-Solver++(2M) adds at index `i`
function secondOrder({log_snr}, i) {
  const lambda = k => (log_snr[k] ?? -Infinity)/2
  return (lambda(i-1)-lambda(i))/(lambda(i)-lambda(i+1))/2
}

function walk(chain, i, x, x0, before, sampler) {
  if (sampler === 'ddim' || !before || !i) return ddimStep(chain, i, x0, x)
  const r = secondOrder(chain, i)
  const better = map(x0.c, x0.h, x0.w, x0.data.map((v, k) => v+r*(v-before.data[k])))
  return ddimStep(chain, i, better, x)
}

export class ChromaSampler {
  // `condition`: {shape: [h,w] of the chroma, similarity, denoise(x, t, hints)}, see model.js
  constructor(manifest, condition) {
    const {sampling} = manifest
    if (!['dpmpp_2m', 'ddim'].includes(sampling.sampler))
      throw new Error(`this page has no sampler ${sampling.sampler}`)
    Object.assign(this, {manifest, condition, plain: new Map()})
  }

  get last() { return this.manifest.chain.timesteps.at(-1) }

  // What the network makes of nothing but noise, and how sure it is of small regions
  async firstGuess(hints) {
    const {sampling: s, chroma_scale} = this.manifest, [h, w] = this.condition.shape
    const asked = hints && withColors(hints, 1/s.gain)
    const out = await this.condition.denoise(map(2, h, w), this.last, asked)
    const first = clampHints(scaled(out, s.gain), hints)
    return {first, confidence: smallRegionConfidence(scaled(first, chroma_scale), s)}
  }

  // The network's estimate with all that guides it
  async estimate(x, i, hints, {first, confidence}) {
    const {sampling: s, chain} = this.manifest, {condition} = this, t = chain.timesteps[i]
    if (t === this.last) return first
    const snr = Math.exp(chain.log_snr[i] ?? -Infinity)
    const [restored, until, gain] = hints ? [0, 1, 1] :
      [s.average_restored, s.average_until, s.anchor_gain]
    let x0 = await condition.denoise(x, t, hints)
    if (s.average && snr < until) x0 = averageSimilar(x0, first, condition.similarity, restored)
    if (s.anchor && snr < s.anchor_until) x0 = anchorSmallRegions(x0, first, confidence, gain)
    return clampHints(x0, hints)
  }

  async walkBack(seed, hints, rest) {
    const {sampling: s, chain, chroma_scale} = this.manifest, [h, w] = this.condition.shape
    const guess = hints ? await this.firstGuess(hints) :
      this.guess ??= await this.firstGuess(null)
    let x = map(2, h, w, randn(2*h*w, seed).map(v => v*s.temperature)), before = null
    const steps = chain.timesteps.length
    for (let i = steps-1; i >= 0; i--) {
      await rest((steps-1-i)/steps)
      const x0 = await this.estimate(x, i, hints, guess)
      x = walk(chain, i, x, x0, before, s.sampler)
      before = x0
    }
    return scaled(x, chroma_scale)
  }

  // Chroma in CIELAB units for a seed, and for hints: a map of 3 channels, chroma and mask.
  // `rest(share)` is awaited before every step; it may throw to cancel
  async sample(seed, hints, rest = async () => {}) {
    const {sampling: s, chroma_scale} = this.manifest
    if (!this.plain.has(seed)) {
      const ab = await this.walkBack(seed, null, o => rest(hints ? o/2 : o))
      this.plain.set(seed, shrinkReds(ab, s.red_shrinkage))
    }
    const plain = this.plain.get(seed)
    if (!hints) return plain
    const known = withColors(hints, 1/chroma_scale)
    const hinted = await this.walkBack(seed, known, o => rest(0.5+o/2))
    if (!s.hint_reach) return hinted
    const influence = hintInfluence(hints, this.condition.similarity, s.hint_reach)
    const mask = hints.data.subarray(2*hints.h*hints.w)
    return followHints(hinted, plain, influence, mask)
  }
}
