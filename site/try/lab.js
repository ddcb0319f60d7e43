// CIELAB and sRGB as `colorized.photo.lab` has them (D65, 2 degrees; IEC 61966-2-1)

const TO_XYZ = [ // linear RGB -> XYZ relative to white
  [0.412453/0.95047, 0.357580/0.95047, 0.180423/0.95047],
  [0.212671, 0.715160, 0.072169],
  [0.019334/1.08883, 0.119193/1.08883, 0.950227/1.08883]]
export const LUMINANCE = TO_XYZ[1]

function inverse([[a, b, c], [d, e, f], [g, h, i]]) {
  const det = a*(e*i-f*h) - b*(d*i-f*g) + c*(d*h-e*g)
  return [[e*i-f*h, c*h-b*i, b*f-c*e], [f*g-d*i, a*i-c*g, c*d-a*f], [d*h-e*g, b*g-a*h, a*e-b*d]]
    .map(row => row.map(v => v/det))
}
const FROM_XYZ = inverse(TO_XYZ)

export const toLinear = v => v > 0.04045 ? ((v+0.055)/1.055)**2.4 : v/12.92
export const fromLinear = v => v > 0.0031308 ? 1.055*v**(1/2.4)-0.055 : 12.92*v
export const f = t => t > 0.008856 ? Math.cbrt(t) : 7.787*t+16/116
export const fInverse = t => t > 0.2068966 ? t*t*t : (t-16/116)/7.787

export function rgbToLab(r, g, b) {
  const [x, y, z] = TO_XYZ.map(m => f(m[0]*toLinear(r) + m[1]*toLinear(g) + m[2]*toLinear(b)))
  return [116*y-16, 500*(x-y), 200*(y-z)]
}

const [[rx, ry, rz], [gx, gy, gz], [bx, by, bz]] = FROM_XYZ
const LEAST = -1e-6, MOST = 1+1e-6

// Is a color outside of sRGB? `fy` and luminance `y` of its lightness, chroma a and b
function isOutside(fy, y, a, b) {
  const x = fInverse(fy+a/500), z = fInverse(fy-b/200)
  const red = rx*x+ry*y+rz*z
  if (red < LEAST || red > MOST) return true
  const green = gx*x+gy*y+gz*z
  if (green < LEAST || green > MOST) return true
  const blue = bx*x+by*y+bz*z
  return blue < LEAST || blue > MOST
}

// The largest multiple of a chroma in [0,1] that sRGB can show at this lightness
export function fittingScale(fy, y, a, b) {
  if (!isOutside(fy, y, a, b)) return 1
  let s = 0
  for (let i = 1; i <= 12; i++) {
    const larger = s+2**-i
    if (!isOutside(fy, y, larger*a, larger*b)) s = larger
  }
  return s
}

// sRGB encoding through a table with linear interpolation; wrong by less than 2e-5 of white
const STEPS = 8192, ENCODED = new Float64Array(STEPS+2)
for (let i = 0; i < ENCODED.length; i++) ENCODED[i] = fromLinear((i/STEPS)**2)
function encoded(v) {
  if (v <= 0) return 0
  if (v >= 1) return 1
  const u = Math.sqrt(v)*STEPS, i = u|0
  return ENCODED[i] + (u-i)*(ENCODED[i+1]-ENCODED[i])
}

// Chroma put on a lightness, in place of three numbers of `out`: sRGB in [0,1]
export function combine(fy, y, a, b, out) {
  const s = fittingScale(fy, y, a, b)
  const x = fInverse(fy+s*a/500), z = fInverse(Math.max(0, fy-s*b/200))
  out[0] = encoded(rx*x+ry*y+rz*z)
  out[1] = encoded(gx*x+gy*y+gz*z)
  out[2] = encoded(bx*x+by*y+bz*z)
}

const LINEAR8 = Float64Array.from({length: 256}, (_, i) => toLinear(i/255))
const CHOICES = Array.from({length: 8}, (_, i) => [i>>2&1, i>>1&1, i&1])

// 8-bit levels of `rgb` in [0,1], up or down, such that the gray of luminance `y` is kept
export function roundKeepingGray(rgb, y, out) {
  const [wr, wg, wb] = LUMINANCE
  for (let c = 0; c < 3; c++) out[c] = Math.round(rgb[c]*255)
  const excess = wr*LINEAR8[out[0]] + wg*LINEAR8[out[1]] + wb*LINEAR8[out[2]] - y
  if (Math.abs(encoded(y)-encoded(y+excess))*255 <= 0.5) return
  const other = [0, 1, 2].map(c => {
    const up = rgb[c]*255 >= out[c] ? 1 : -1
    return Math.min(255, Math.max(0, out[c]+up))
  })
  const step = other.map((v, c) => (LINEAR8[v]-LINEAR8[out[c]])*LUMINANCE[c])
  let best = CHOICES[0], least = Infinity
  for (const o of CHOICES) {
    const off = Math.abs(excess + o[0]*step[0] + o[1]*step[1] + o[2]*step[2])
    if (off < least) [best, least] = [o, off]
  }
  for (let c = 0; c < 3; c++) if (best[c]) out[c] = other[c]
}
