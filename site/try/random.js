// The noise of torch.Generator().manual_seed(seed) and torch.randn on a CPU, so that a seed means
// the same colors here and in Python: Mersenne Twister (Matsumoto & Nishimura 1998) and Box-Muller
// over blocks of 16, as PyTorch's `normal_fill` does it.

const N = 624, M = 397

function seeded(seed) {
  const state = new Uint32Array(N)
  state[0] = seed
  for (let i = 1; i < N; i++) {
    const s = state[i-1] ^ (state[i-1] >>> 30)
    state[i] = Math.imul(s, 1812433253) + i
  }
  return state
}

function twist(state) {
  for (let i = 0; i < N; i++) {
    const y = (state[i] & 0x80000000) | (state[(i+1)%N] & 0x7fffffff)
    state[i] = state[(i+M)%N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0)
  }
}

// A function that gives one 32-bit number after the other
export function twister(seed) {
  const state = seeded(seed % 2**32)
  let i = N
  return () => {
    if (i === N) {
      twist(state)
      i = 0
    }
    let y = state[i++]
    y ^= y >>> 11
    y ^= (y << 7) & 0x9d2c5680
    y ^= (y << 15) & 0xefc60000
    return (y ^ (y >>> 18)) >>> 0
  }
}

function boxMuller(x, at) {
  for (let j = at; j < at+8; j++) {
    const radius = Math.sqrt(-2*Math.log(1-x[j])), angle = 2*Math.PI*x[j+8]
    x[j] = radius*Math.cos(angle)
    x[j+8] = radius*Math.sin(angle)
  }
}

// `n` standard normal numbers; PyTorch draws fewer than 16 in another way
export function randn(n, seed) {
  if (n < 16) throw new RangeError(`at least 16 numbers are drawn at once, ${n} were asked for`)
  const next = twister(seed), uniform = () => (next() & 0xffffff)/2**24
  const x = Float32Array.from({length: n}, uniform)
  for (let i = 0; i+16 <= n; i += 16) boxMuller(x, i)
  if (n%16) {
    for (let i = n-16; i < n; i++) x[i] = uniform()
    boxMuller(x, n-16)
  }
  return x
}
