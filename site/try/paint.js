// The brush: strokes on a canvas above the photograph, by mouse, finger or keyboard.
// A stroke is {color, radius, points}: fractions of the sides, the radius of the shorter one.

export const COLORS = {
  'Light skin': '#dfb497', 'Dark skin': '#8a5a3c', 'Blond': '#c8a55f', 'Brown': '#5f3f28',
  'Red': '#9c2f2c', 'Brick': '#a4664c', 'Straw': '#d8bd7a', 'Leaf green': '#5d7a3e',
  'Bottle green': '#2f5a47', 'Sky blue': '#8db4d4', 'Navy blue': '#2c406c', 'Violet': '#6d4f80',
  'Rose': '#d693a0', 'Wood': '#8d6740', 'No color, gray': '#808080'}
const RADIUS = 0.025, MOST_POINTS = 2000, STEP = 0.02

export class Brush {
  // `painted(stroke)` when one is done
  constructor(canvas, painted) {
    Object.assign(this, {canvas, painted, color: null, stroke: null, at: null, waiting: []})
    canvas.onpointerdown = e => this.down(e)
    canvas.onpointermove = e => this.move(e)
    canvas.onpointerup = canvas.onpointercancel = e => e.isPrimary && this.put()
    canvas.onpointerleave = () => this.stroke || this.point(null)
    canvas.onfocus = () => canvas.matches(':focus-visible') && this.point(this.at ?? [.5, .5])
    canvas.onkeydown = e => this.key(e)
    addEventListener('resize', () => this.draw())
  }

  // Paint with a color, or with none
  take(color) {
    Object.assign(this, {color, stroke: null})
    this.canvas.hidden = !color
    this.draw()
  }

  // Strokes of which the colors are still to come
  await(strokes) {
    this.waiting = strokes
    this.draw()
  }

  place({clientX, clientY}) {
    const box = this.canvas.getBoundingClientRect()
    return [(clientX-box.left)/box.width, (clientY-box.top)/box.height]
  }

  point(at) {
    this.at = at
    this.draw()
  }

  down(e) {
    if (!e.isPrimary) this.stroke = null // two fingers do not paint
    if (!e.isPrimary || e.button) return this.draw()
    this.canvas.setPointerCapture(e.pointerId)
    this.begin(this.place(e))
  }

  begin(at) {
    this.stroke = {color: this.color, radius: RADIUS, points: [at]}
    this.point(at)
  }

  move(e) {
    if (!e.isPrimary) return
    const at = this.place(e), points = this.stroke?.points
    const far = points && Math.hypot(...points.at(-1).map((v, i) => v-at[i])) > 0.004
    if (far && points.length < MOST_POINTS)
      points.push(at.map(v => Math.min(1.5, Math.max(-.5, v))))
    this.point(at)
  }

  put() {
    const {stroke} = this
    this.stroke = null
    if (stroke) this.painted(stroke)
  }

  key(e) {
    const by = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[e.key]
    const step = e.shiftKey ? STEP/4 : STEP, clamp = v => Math.min(1, Math.max(0, v))
    if (by) this.point((this.at ?? [.5, .5]).map((v, i) => clamp(v+by[i]*step)))
    else if (e.key === ' ' || e.key === 'Enter') {
      if (!e.repeat) { // held, it is one dot
        this.begin(this.at ?? [.5, .5])
        this.put()
      }
    } else return
    e.preventDefault()
  }

  draw() {
    const {canvas, color} = this
    if (!color) return
    const {width: w, height: h} = canvas.getBoundingClientRect(), k = devicePixelRatio
    const short = Math.min(w, h), pen = canvas.getContext('2d')
    canvas.width = Math.round(w*k)
    canvas.height = Math.round(h*k)
    pen.scale(k, k)
    pen.lineCap = pen.lineJoin = 'round'
    for (const s of [...this.waiting, ...(this.stroke ? [this.stroke] : [])]) {
      pen.strokeStyle = s.color
      pen.lineWidth = 2*s.radius*short
      pen.beginPath()
      s.points.forEach(([x, y], i) => i ? pen.lineTo(x*w, y*h) : pen.moveTo(x*w, y*h))
      pen.lineTo(s.points.at(-1)[0]*w+.01, s.points.at(-1)[1]*h)
      pen.stroke()
    }
    if (this.at) this.ring(pen, this.at[0]*w, this.at[1]*h, Math.max(3, RADIUS*short))
  }

  ring(pen, x, y, r) {
    pen.beginPath()
    pen.arc(x, y, r, 0, 7)
    for (const [width, color] of [[4, '#fff'], [2, '#000']]) {
      pen.lineWidth = width
      pen.strokeStyle = color
      pen.stroke()
    }
    pen.globalAlpha = .6
    pen.fillStyle = this.color
    pen.fill()
    pen.globalAlpha = 1
  }
}
