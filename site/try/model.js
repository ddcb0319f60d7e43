// The exported network in ONNX Runtime, and the files that it is made of

import * as ort from './ort/ort.wasm.min.mjs'
import {cellGrid, similarityInputs} from './guidance.js'
import {map} from './matrices.js'

const here = new URL('.', import.meta.url)
const FEATURES = ['features_8', 'features_16', 'features_32']

// A file, decompressed if it is stored compressed; `progress(bytes)` as they arrive
export async function fetched(name, progress = () => {}) {
  const lost = e => {
    throw e instanceof RangeError ? e : // no memory
      new Error(`${name} could not be fetched; is there a network?`)
  }
  const response = await fetch(new URL(name, here)).catch(lost)
  if (!response.ok) throw new Error(`${name} could not be loaded (${response.status})`)
  const count = new TransformStream({transform(chunk, to) {
    progress(chunk.length)
    to.enqueue(chunk)
  }})
  let stream = response.body.pipeThrough(count)
  if (name.endsWith('.gz')) stream = stream.pipeThrough(new DecompressionStream('gzip'))
  return new Response(stream).arrayBuffer().catch(lost)
}

const parsed = async name => JSON.parse(new TextDecoder().decode(await fetched(name)))

export class Model {
  // `progress(share)` while files arrive
  static async open(progress, n = threads()) {
    const {total} = await parsed('files.json')
    let arrived = 0
    const counted = name => fetched(name, n => progress(Math.min(1, (arrived += n)/total)))
    const names = ['encoder.onnx', 'denoiser.onnx', 'similarity.onnx']
    const stored = name => `model/${name}.gz`
    const manifest = await parsed('model/manifest.json')
    const wasm = await counted('ort/ort-wasm-simd-threaded.wasm.gz')
    ort.env.wasm.wasmBinary = wasm
    ort.env.wasm.wasmPaths = {mjs: new URL('ort/ort-wasm-simd-threaded.mjs', here).href}
    ort.env.wasm.numThreads = n
    ort.env.logLevel = 'error'
    const sessions = {}
    for (const name of names) { // one after the other: less memory at once
      const bytes = new Uint8Array(await counted(stored(name)))
      sessions[name.split('.')[0]] = await ort.InferenceSession.create(bytes, {
        executionProviders: ['wasm'], graphOptimizationLevel: 'all', enableCpuMemArena: false,
        extra: {session: {intra_op: {allow_spinning: '0'}}}}) // a thread that waits rests
    }
    ort.env.wasm.wasmBinary = undefined
    return Object.assign(new Model(), {manifest, sessions, threads: n})
  }

  // What the network can know of the lightness `L`, a map of one channel, before the first step
  async condition(L) {
    const {factor, sampling} = this.manifest, {h, w} = L, {encoder, similarity} = this.sessions
    const tensor = (data, dims) => new ort.Tensor('float32', data, dims)
    const features = await encoder.run({L: tensor(L.data, [1, 1, h, w])})
    const scaledL = tensor(L.data.map(v => v/50-1), [1, 1, h, w])
    const grid = cellGrid(h, w, sampling.cells), inputs = similarityInputs(h, w, grid)
    const given = Object.fromEntries(
      Object.entries(inputs).map(([k, {data, dims}]) => [k, tensor(data, dims)]))
    const compared = await similarity.run(
      {L: scaledL, features_16: features.features_16, ...given})
    const fixed = Object.fromEntries(FEATURES.map(k => [k, features[k]]))
    return {
      shape: [h/factor, w/factor],
      similarity: {grid, weights: compared.similarity.data, points: compared.points.data},
      denoise: (x, t, hints) => this.denoise({...fixed, L: scaledL}, x, t, hints)}
  }

  async denoise(fixed, x, t, hints) {
    const {h, w} = x, known = hints ? hints.data : new Float32Array(3*h*w)
    const {out} = await this.sessions.denoiser.run({
      ...fixed, t: new ort.Tensor('int64', [BigInt(t)], [1]),
      x_t: new ort.Tensor('float32', x.data, [1, 2, h, w]),
      hints: new ort.Tensor('float32', known, [1, 3, h, w])})
    return map(2, h, w, Float32Array.from(out.data))
  }
}

// Threads share memory, which browsers allow on isolated pages only
export function threads() {
  if (!self.crossOriginIsolated) return 1
  return Math.max(1, Math.min(4, navigator.hardwareConcurrency ?? 1))
}
