// The note that the colors were made by a machine, in an XMP packet that keeps all else:
// `merge_xmp` of `colorized.photo.provenance`. Workers have no parser, so this runs in the page.

import {turnPoint} from './exif.js'

const TERMS = 'http://cv.iptc.org/newscodes/digitalsourcetype/'

// JSON as Python writes it with sorted keys; whole numbers of `floats` get their `.0`
export function settingsText(settings, floats) {
  const text = (k, v) => floats.includes(k) && Number.isInteger(v) ? `${v}.0` : JSON.stringify(v)
  const keys = Object.keys(settings).sort()
  return `{${keys.map(k => `${JSON.stringify(k)}: ${text(k, settings[k])}`).join(', ')}}`
}

// [prefix, name, text] of what a file says about its colors
export function properties({provenance: p}, seed, steps, settings) {
  const ours = {Software: p.software, Model: p.model, ModelSHA256: p.model_sha256, Seed: seed,
    Steps: steps, Settings: settingsText(settings, p.floats)}
  return [['Iptc4xmpExt', 'DigitalSourceType', TERMS+p.source_type],
    ...Object.entries(ours).map(([k, v]) => ['colorized', k, String(v)])]
}

function parsed(packet, ns) {
  const isWide = packet[0]+packet[1] === 509 // the mark of UTF-16, either way round
  const code = !isWide ? 'utf-8' : packet[0] === 255 ? 'utf-16le' : 'utf-16be'
  const text = new TextDecoder(code).decode(packet).replace(/^[\0\s\ufeff]+|[\0\s]+$/g, '')
  if (/<!(DOCTYPE|ENTITY)/i.test(text)) throw new Error('it holds a document type definition')
  const plain = text.replace(/<\?xml[^>]*\?>|<\?xpacket[^>]*\?>/g, '')
  const dom = new DOMParser().parseFromString(plain, 'application/xml')
  if (dom.querySelector('parsererror') || !dom.getElementsByTagNameNS(ns.rdf, 'RDF').length)
    throw new Error('it holds no rdf:RDF')
  return dom
}

const empty = ns => new DOMParser().parseFromString(
  `<x:xmpmeta xmlns:x="${ns.x}"><rdf:RDF xmlns:rdf="${ns.rdf}"><rdf:Description rdf:about=""/>`
  + '</rdf:RDF></x:xmpmeta>', 'application/xml')

function remove(dom, ns, prefix, name) {
  for (const d of dom.getElementsByTagNameNS(ns.rdf, 'Description')) {
    const {namespaceURI, localName} = d.parentNode
    if (namespaceURI !== ns.rdf || localName !== 'RDF') continue // of a structure
    d.removeAttributeNS(ns[prefix], name)
    for (const c of [...d.children])
      if (c.namespaceURI === ns[prefix] && c.localName === name) c.remove()
  }
}

function add(dom, ns, all) {
  const rdf = dom.getElementsByTagNameNS(ns.rdf, 'RDF')[0], prefix = rdf.prefix || 'rdf'
  const about = rdf.firstElementChild?.getAttributeNS(ns.rdf, 'about') ?? ''
  const d = dom.createElementNS(ns.rdf, `${prefix}:Description`)
  d.setAttributeNS(ns.rdf, `${prefix}:about`, about)
  for (const [p, name, text] of all)
    d.appendChild(dom.createElementNS(ns[p], `${p}:${name}`)).textContent = text
  rdf.append(d)
}

// ---- regions marked on the picture, as `turn_regions` of `colorized.photo.xmp` ----
const AREA = 'http://ns.adobe.com/xmp/sType/Area#'
const SIDES = 'http://ns.adobe.com/xap/1.0/sType/Dimensions#'
const REGIONS = ['mwg-rs', 'Regions']
const OTHER_REGIONS = [['MP', 'RegionInfo'], ['Iptc4xmpExt', 'ImageRegion'],
  ['acdsee-rs', 'Regions'], ['exif', 'SubjectArea'], ['exif', 'SubjectLocation']]

function fields(element, ns) { // of a structure: {name: node of the text}
  const nodes = [...element.attributes, ...element.childNodes].filter(o => o.namespaceURI === ns)
  return Object.fromEntries(
    nodes.map(o => [o.localName, o.nodeValue === null ? o.firstChild : o]))
}

function number(node) {
  const v = parseFloat(node.nodeValue)
  if (Number.isNaN(v)) throw new Error('it is no number')
  return v
}

function swapSides({w, h}) {
  [w.nodeValue, h.nodeValue] = [h.nodeValue, w.nodeValue]
}

function turnArea(area, turn) {
  const at = [number(area.x), number(area.y)]
  if (at.some(v => v < 0 || v > 1)) throw new Error('it is not in parts of the sides')
  const [x, y] = turnPoint(...at, turn).map(v => +v.toPrecision(6))
  area.x.nodeValue = x
  area.y.nodeValue = y
  if (turn > 4 && 'w' in area && 'h' in area) swapSides(area)
}

function turnAreas(regions, {turn, width, height}) {
  const elements = [...regions.getElementsByTagName('*')]
  const found = ns => elements.map(o => fields(o, ns)).filter(o => Object.keys(o).length)
  for (const sides of found(SIDES)) {
    const more = number(sides.w)-number(sides.h)
    if (turn > 4 && more*(width-height) > 0) return // counted upright already
    if (turn > 4) swapSides(sides)
  }
  for (const area of found(AREA)) turnArea(area, turn)
}

// `photo`: {turn, width, height}, the orientation that its pixels had, and their sides now. Notes
function turnRegions(dom, ns, photo) {
  if (photo.turn === 1) return []
  const find = ([p, name]) => [...dom.getElementsByTagNameNS(ns[p], name)]
  const regions = find(REGIONS), lost = OTHER_REGIONS.filter(o => find(o).length)
  const outermost = regions.filter(o => !regions.some(p => p !== o && p.contains(o)))
  try {
    for (const o of outermost) turnAreas(o, photo)
  } catch {
    lost.push(REGIONS)
  }
  for (const o of lost) remove(dom, ns, ...o)
  const names = lost.map(o => o.join(':')).join(', ')
  return names ? [`regions marked on the unturned picture were left behind: ${names}`] : []
}

// ---- what Photoshop says of copyright, as `carry_rights` of `colorized.photo.provenance` ----
const STATEMENTS = {Marked: 'mark of copyright', WebStatement: 'address of a page on copyright'}

// Added where XMP is silent. Notes
function carryRights(dom, ns, stated = {}) {
  const nodes = [...dom.getElementsByTagName('*')].flatMap(o => [o, ...o.attributes])
  const there = Object.fromEntries(nodes.filter(o => o.namespaceURI === ns.xmpRights).map(o =>
    [o.localName, o.nodeValue ?? (o.getAttributeNS(ns.rdf, 'resource') || o.textContent)]))
  const lost = {}, all = []
  for (const [k, v] of Object.entries(stated)) {
    if (/[\0-\x1f\x7f-\x9f]/.test(v)) lost[k] = 'XMP cannot hold it'
    else if (!(k in there)) all.push(['xmpRights', k, v])
    else if (there[k].trim().toLowerCase() !== v.toLowerCase()) lost[k] = 'XMP says otherwise'
  }
  if (all.length) add(dom, ns, all)
  return Object.entries(lost).map(
    ([k, why]) => `Photoshop's ${STATEMENTS[k]} was left behind: ${why}`)
}

// ---- all of it ----
const BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'

// `packet`: bytes or null; `photo`: see `turnRegions`, and its `rights`. {xmp: bytes, notes}
export function mergeXmp(packet, all, {namespaces: ns, of_the_file}, photo) {
  const notes = []
  let dom
  try {
    dom = packet ? parsed(packet, ns) : empty(ns)
  } catch (e) {
    dom = empty(ns)
    notes.push(`the original XMP could not be read and was left behind (${e.message})`)
  }
  if (packet) notes.push(...turnRegions(dom, ns, photo))
  notes.push(...carryRights(dom, ns, photo?.rights))
  const outdated = Object.entries(of_the_file).flatMap(([p, o]) => o.split(' ').map(k => [p, k]))
  for (const [p, name] of [...all, ...outdated]) remove(dom, ns, p, name)
  add(dom, ns, [...all, ['tiff', 'Orientation', '1']])
  const body = new XMLSerializer().serializeToString(dom.documentElement)
  return {xmp: new TextEncoder().encode(`${BEGIN}\n${body}\n<?xpacket end="w"?>`), notes}
}

// Does the packet say that a trained model made the picture, or its colors?
export function isGenerated(packet) {
  const text = packet ? new TextDecoder('latin1').decode(packet) : ''
  return /\/colorized\/ns\/1.0\/|trainedalgorithmicmedia/i.test(text.replaceAll('\0', ''))
}
