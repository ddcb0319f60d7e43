// A baseline JPEG, written strip by strip, so that a large photograph needs no copy of its own:
// ITU-T T.81 with the tables of its annex K, scaled by quality as libjpeg does, without
// subsampling. The transform is that of Arai, Agui and Nakajima (1988).

const ZIGZAG = [0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41,
  34, 27, 20, 13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
  58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63]
const LUMINANCE = [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24,
  40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64,
  81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99]
const CHROMINANCE = [17, 18, 24, 47, 18, 21, 26, 66, 24, 26, 56, 99, 47, 66, 99]
const SCALES = [1, 1.387039845, 1.306562965, 1.175875602, 1, 0.785694958, 0.541196100, 0.275899379]

// Huffman tables: how many codes of each length, and their values
const DC_LUMINANCE = ['00010501010101010100000000000000', '000102030405060708090a0b']
const DC_CHROMINANCE = ['00030101010101010101010000000000', '000102030405060708090a0b']
const AC_LUMINANCE = ['0002010303020403050504040000017d',
  '01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a2526'
  + '2728292a3435363738393a434445464748494a535455565758595a636465666768696a737475767778797a8384'
  + '85868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4'
  + 'd5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa']
const AC_CHROMINANCE = ['00020102040403040705040400010277',
  '000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a'
  + '262728292a35363738393a434445464748494a535455565758595a636465666768696a737475767778797a8283'
  + '8485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3'
  + 'd4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa']

const bytes = hex => Uint8Array.from(hex.match(/../g), o => parseInt(o, 16))

function huffman([counts, values]) { // value -> its code, shifted by 5, and the length of that
  const all = bytes(values), table = new Int32Array(256)
  let code = 0, k = 0
  bytes(counts).forEach((n, i) => {
    for (let j = 0; j < n; j++) table[all[k++]] = code++<<5 | i+1
    code <<= 1
  })
  return table
}

const quantized = (table, quality) => {
  const scale = quality < 50 ? 5000/quality : 200-2*quality
  return table.map(v => Math.min(255, Math.max(1, Math.floor((v*scale+50)/100))))
}
const CHROMINANCE_64 = Array.from({length: 64}, (_, i) => {
  const row = [CHROMINANCE.slice(0, 4), CHROMINANCE.slice(4, 8), [24, 26, 56, 99], [47, 66, 99, 99]]
  return row[i>>3]?.[i&7] ?? 99
})

const size = v => 32-Math.clz32(Math.abs(v)) // bits that a value takes

// Eight values in place, `step` apart from `at`
function transform(d, at, step) {
  const a = at, b = a+step, c = b+step, e = c+step, f = e+step, g = f+step, h = g+step, k = h+step
  const s0 = d[a]+d[k], s7 = d[a]-d[k], s1 = d[b]+d[h], s6 = d[b]-d[h]
  const s2 = d[c]+d[g], s5 = d[c]-d[g], s3 = d[e]+d[f], s4 = d[e]-d[f]
  const t0 = s0+s3, t3 = s0-s3, t1 = s1+s2, t2 = s1-s2, z1 = (t2+t3)*0.707106781
  d[a] = t0+t1
  d[f] = t0-t1
  d[c] = t3+z1
  d[h] = t3-z1
  const u0 = s4+s5, u1 = s5+s6, u2 = s6+s7, z5 = (u0-u2)*0.382683433
  const z2 = 0.541196100*u0+z5, z4 = 1.306562965*u2+z5, z3 = u1*0.707106781
  const z11 = s7+z3, z13 = s7-z3
  d[g] = z13+z2
  d[e] = z13-z2
  d[b] = z11+z4
  d[k] = z11-z4
}

const marker = (code, ...data) => {
  const body = data.flat(), n = body.length+2
  return [0xff, code, n>>8, n&255, ...body]
}

const MOST = 65500 // pixels a side, as libjpeg has it; the format itself ends at 65,535

export class JpegWriter {
  constructor(width, height, quality) {
    if (Math.max(width, height) > MOST)
      throw new Error(`JPEG holds at most ${MOST} pixels a side, this photograph has `
        + `${width} × ${height}; choose PNG`)
    const tables = [quantized(LUMINANCE, quality), quantized(CHROMINANCE_64, quality)]
    const factor = t => Float64Array.from(t, (v, i) => 1/(v*SCALES[i>>3]*SCALES[i&7]*8))
    Object.assign(this, {width, height})
    Object.assign(this, {factors: tables.map(factor), before: [0, 0, 0],
      dc: [DC_LUMINANCE, DC_CHROMINANCE].map(huffman),
      ac: [AC_LUMINANCE, AC_CHROMINANCE].map(huffman),
      block: new Float64Array(64), levels: new Int32Array(64), waiting: null,
      parts: [this.head(tables)], out: new Uint8Array(2**16), n: 0, bits: 0, held: 0})
  }

  head(tables) { // from the tables to the scan
    const {width: w, height: h} = this
    const sides = [h>>8, h&255, w>>8, w&255], codes = ([n, v]) => [...bytes(n), ...bytes(v)]
    return Uint8Array.from([
      ...marker(0xdb, tables.flatMap((t, i) => [i, ...ZIGZAG.map(k => t[k])])),
      ...marker(0xc0, 8, sides, 3, 1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1),
      ...marker(0xc4, 0, codes(DC_LUMINANCE), 0x10, codes(AC_LUMINANCE), 1, codes(DC_CHROMINANCE),
        0x11, codes(AC_CHROMINANCE)),
      ...marker(0xda, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0)])
  }

  byte(v) {
    if (this.n === this.out.length) {
      this.parts.push(this.out)
      this.out = new Uint8Array(2**16)
      this.n = 0
    }
    this.out[this.n++] = v
  }

  put(code, length) { // fewer than 8 bits wait at any time
    this.bits = this.bits<<length | code
    this.held += length
    while (this.held >= 8) {
      this.held -= 8
      const v = this.bits>>this.held & 255
      this.byte(v)
      if (v === 255) this.byte(0)
    }
    this.bits &= 255
  }

  symbol(entry) { this.put(entry>>5, entry&31) }
  value(v, size) { this.put(v < 0 ? v+(1<<size)-1 : v, size) }

  // The block at column `x` of eight rows of a plane
  encode(plane, x, which) {
    const {block: d, levels, width} = this, kind = which ? 1 : 0, factor = this.factors[kind]
    for (let i = 0; i < 8; i++) for (let j = 0; j < 8; j++)
      d[8*i+j] = plane[i*width+Math.min(width-1, x+j)]
    for (let i = 0; i < 8; i++) transform(d, 8*i, 1)
    for (let j = 0; j < 8; j++) transform(d, j, 8)
    for (let i = 0; i < 64; i++) {
      const k = ZIGZAG[i], v = d[k]*factor[k]
      levels[i] = v < 0 ? -Math.floor(0.5-v) : Math.floor(v+0.5)
    }
    const more = levels[0]-this.before[which]
    this.before[which] = levels[0]
    this.symbol(this.dc[kind][size(more)])
    this.value(more, size(more))
    const ac = this.ac[kind]
    let zeros = 0
    for (let i = 1; i < 64; i++) {
      if (!levels[i]) {
        zeros++
        continue
      }
      for (; zeros > 15; zeros -= 16) this.symbol(ac[0xf0])
      this.symbol(ac[zeros<<4 | size(levels[i])])
      this.value(levels[i], size(levels[i]))
      zeros = 0
    }
    if (zeros) this.symbol(ac[0])
  }

  // Eight rows of RGB; fewer at the bottom, where the last one is repeated
  band(rgb, rows) {
    const {width: w} = this, planes = [0, 1, 2].map(() => new Int16Array(8*w))
    for (let i = 0; i < 8; i++) for (let j = 0; j < w; j++) {
      const k = 3*(Math.min(i, rows-1)*w+j), r = rgb[k], g = rgb[k+1], b = rgb[k+2], at = i*w+j
      planes[0][at] = Math.round(0.299*r+0.587*g+0.114*b)-128
      planes[1][at] = Math.round(-0.168735892*r-0.331264108*g+0.5*b)
      planes[2][at] = Math.round(0.5*r-0.418687589*g-0.081312411*b)
    }
    for (let x = 0; x < w; x += 8) planes.forEach((plane, c) => this.encode(plane, x, c))
  }

  // Rows of RGB bytes, a multiple of 8 but for the last ones
  add(rgb, rows) {
    for (let i = 0; i < rows; i += 8)
      this.band(rgb.subarray(3*i*this.width), Math.min(8, rows-i))
  }

  // The parts from the tables to the end of the file
  finish() {
    this.put(127, 7)
    return [...this.parts, this.out.subarray(0, this.n), Uint8Array.of(0xff, 0xd9)]
  }
}
