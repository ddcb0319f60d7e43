// Matrices that resample one axis, as `colorized.photo.resampling` has them. Each row holds few
// numbers, so only those are kept: {n: columns, first: [of each row], rows: [Float64Array]}.

function banded(n, first, rows) {
  for (const w of rows) {
    const sum = w.reduce((a, b) => a+b, 0)
    for (let k = 0; k < w.length; k++) w[k] /= sum
  }
  return {n, first, rows}
}

const each = (m, f) => Array.from({length: m}, (_, i) => f(i))

// Area averages from n to m
export function area(n, m) {
  const r = n/m, first = each(m, i => Math.floor(i*r+1e-9))
  const rows = first.map((a, i) => {
    const end = Math.min(n, Math.ceil((i+1)*r-1e-9))
    return Float64Array.from({length: Math.max(1, end-a)}, (_, k) =>
      Math.max(0, Math.min((i+1)*r, a+k+1) - Math.max(i*r, a+k)))
  })
  return banded(n, first, rows)
}

const cubic = d => d <= 1 ? 1.5*d**3-2.5*d**2+1 : -0.5*d**3+2.5*d**2-4*d+2

// Bicubic enlargement from n to m
export function bicubic(n, m) {
  const r = n/m, first = [], clamp = j => Math.min(n-1, Math.max(0, j))
  const rows = each(m, i => {
    const x = (i+0.5)*r-0.5, base = Math.floor(x)
    const a = clamp(base-1), w = new Float64Array(clamp(base+2)-a+1)
    for (let k = -1; k < 3; k++) w[clamp(base+k)-a] += cubic(Math.abs(x-base-k))
    first.push(a)
    return w
  })
  return banded(n, first, rows)
}

// Averages over m cells, which may overlap, as `adaptive_avg_pool2d` takes them
export function pool(n, m) {
  const first = each(m, i => Math.floor(i*n/m))
  const rows = first.map((a, i) => new Float64Array(Math.ceil((i+1)*n/m)-a).fill(1))
  return banded(n, first, rows)
}

export function bilinear(n, m) {
  const first = []
  const rows = each(m, i => {
    const x = Math.max(0, (i+0.5)*n/m-0.5), low = Math.min(n-1, Math.floor(x))
    first.push(low)
    return Float64Array.from(low+1 < n ? [1-(x-low), x-low] : [1])
  })
  return banded(n, first, rows)
}

// Means over `side` neighbors, fewer at the border
export function box(n, side) {
  const half = side>>1, first = each(n, i => Math.max(0, i-half))
  const rows = first.map((a, i) => new Float64Array(Math.min(n, i+half+1)-a).fill(1))
  return banded(n, first, rows)
}

export const fitting = (n, m) => m <= n ? area(n, m) : bicubic(n, m)

export function dense({n, first, rows}) {
  const out = new Float32Array(rows.length*n)
  rows.forEach((w, i) => out.set(w, i*n+first[i]))
  return out
}

// A map is {data, c: channels, h, w}. Every row of the result is a sum of a few rows.
export function map(c, h, w, data = new Float32Array(c*h*w)) { return {data, c, h, w} }

function mixRows(x, {first, rows}) {
  const out = map(x.c, rows.length, x.w)
  for (let c = 0; c < x.c; c++) rows.forEach((weights, i) => {
    const to = (c*out.h+i)*x.w
    weights.forEach((v, k) => {
      const from = (c*x.h+first[i]+k)*x.w
      for (let j = 0; j < x.w; j++) out.data[to+j] += v*x.data[from+j]
    })
  })
  return out
}

export function transposed(x) {
  const out = map(x.c, x.w, x.h)
  for (let c = 0; c < x.c; c++) for (let i = 0; i < x.h; i++) for (let j = 0; j < x.w; j++)
    out.data[(c*x.w+j)*x.h+i] = x.data[(c*x.h+i)*x.w+j]
  return out
}

const alongColumns = (x, f) => transposed(f(transposed(x)))

// A @ x @ B.T of each channel
export function resample(x, A, B) {
  return alongColumns(mixRows(x, A), o => mixRows(o, B))
}

// Solve (D U) y = x along the rows; the matrix has few diagonals and a heavy middle one
function solveRows(x, U, D) {
  const n = x.h, reach = 6, a = each(n, () => new Float64Array(n > 0 ? 2*reach+1 : 0))
  D.rows.forEach((d, i) => d.forEach((v, k) => U.rows[D.first[i]+k].forEach((u, l) => {
    a[i][U.first[D.first[i]+k]+l-i+reach] += v*u
  })))
  const out = map(x.c, x.h, x.w, Float32Array.from(x.data))
  const addRow = (to, from, f) => {
    for (let c = 0; c < x.c; c++) for (let j = 0; j < x.w; j++)
      out.data[(c*n+to)*x.w+j] -= f*out.data[(c*n+from)*x.w+j]
  }
  for (let i = 0; i < n; i++) for (let k = i+1; k <= Math.min(n-1, i+reach); k++) {
    const f = a[k][i-k+reach]/a[i][reach]
    if (!f) continue
    for (let j = i; j <= Math.min(n-1, i+reach); j++) a[k][j-k+reach] -= f*a[i][j-i+reach]
    addRow(k, i, f)
  }
  for (let i = n-1; i >= 0; i--) {
    for (let j = i+1; j <= Math.min(n-1, i+reach); j++) addRow(i, j, a[i][j-i+reach])
    for (let c = 0; c < x.c; c++) for (let j = 0; j < x.w; j++)
      out.data[(c*n+i)*x.w+j] /= a[i][reach]
  }
  return out
}

// What bicubic enlargement to (H,W) must start from, such that its area averages are `x` again
export function consistent(x, H, W) {
  const y = solveRows(x, bicubic(x.h, H), area(H, x.h))
  return alongColumns(y, o => solveRows(o, bicubic(x.w, W), area(W, x.w)))
}
